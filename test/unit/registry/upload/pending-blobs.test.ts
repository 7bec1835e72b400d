// Goal: a blob whose push was acknowledged is there when its manifest comes, whatever is deleted
// meanwhile; and what no manifest comes for does not outlive its delete for long. Method: the
// engine over in-memory twins; two images that share a layer, one of them deleted.
import t, { type Test } from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { GRACE_MS } from '../../../../src/registry/collect/collect.ts'
import { PUSH_MAX_MS } from '../../../../src/registry/ports/catalog-pushes.ts'
import { EXPIRED_AT_ONCE } from '../../../../src/registry/upload/expire-pending-blobs.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { document, makeImage } from '../../../kit/image.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = localOf('team/app')
const base = localOf('team/base')
const anybody = () => true
const goesOn = new AbortController().signal

const other = makeImage({ seed: 'image', layers: [10, 20] })
const mine = makeImage({ seed: 'image', layers: [10] })
const [shared, theirs] = other.layers.map(({ digest }) => digest) as [Digest, Digest]
const bytesOf = (digest: Digest) => other.layers.find(each => each.digest === digest)?.bytes() ?? ''

const descriptorOf = (mediaType: string, bytes: Buffer) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
})

type Pushing = Pick<Engine, 'registry' | 'catalog' | 'clock'>

const remove = ({ registry }: Pushing, digest: Digest) =>
  registry.deleteManifest(app, digested(digest).reference)

/** The end of the push whose layer came before. */
async function finish({ registry }: Pushing) {
  await pushWhole(registry, app, mine.config.bytes())
  return pushDocument(registry, app, { document: mine.manifest, reference: 'mine' })
}

/** Which of the layers are in the repository. */
async function held({ catalog }: Pushing): Promise<string[]> {
  const found = []
  for (const [name, digest] of Object.entries({ shared, theirs }))
    if (await isMemberOf(catalog, app, digest)) found.push(name)
  return found
}

async function end({ registry, clock }: Pushing) {
  await clock.advance(PUSH_MAX_MS + 1)
  await registry.expirePendingBlobs(goesOn)
}

const otherImage = ({ registry }: Pushing) => pushImage(registry, app, other, 'other')
const layer = ({ registry }: Pushing) => pushWhole(registry, app, bytesOf(shared))
async function mounted({ registry }: Pushing) {
  await pushWhole(registry, base, bytesOf(shared))
  t.ok(await registry.mountBlob(app, { digest: shared, from: base, mayReadAny: anybody }))
}

async function secondTag({ registry }: Pushing) {
  await pushDocument(registry, app, { document: other.manifest, reference: 'latest' })
}

const ORDERS: Record<string, readonly ((engine: Pushing) => Promise<unknown>)[]> = {
  'sent between push and delete of the other image': [otherImage, layer],
  'sent by both before either manifest': [layer, otherImage],
  'sent by both, and the other image pushed by two tags': [layer, otherImage, secondTag],
  'mounted between push and delete': [otherImage, mounted],
}

for (const [name, order] of Object.entries(ORDERS))
  t.test(`R296: a layer stays for its push: ${name}`, async t => {
    const engine = createEngine()
    for (const step of order) await step(engine)
    await remove(engine, other.manifest.digest)
    t.same(await held(engine), ['shared'], 'what the delete alone is about is gone')
    await finish(engine)
    await end(engine)
    t.same(await held(engine), ['shared'], 'it is listed now')
    await remove(engine, mine.manifest.digest)
    t.same(await held(engine), [], 'and none is pending any more')
  })

t.test('R459: an artifact that is pushed again ends no push of another with its blobs', async t => {
  const engine = createEngine()
  const { registry } = engine
  const artifact = (name: string) =>
    document(OCI_MANIFEST, {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: 'application/vnd.example+json',
      config: descriptorOf('application/vnd.oci.empty.v1+json', Buffer.from('{}')),
      layers: [descriptorOf('application/octet-stream', Buffer.from(bytesOf(shared)))],
      annotations: { name },
    })
  const [known, late] = [artifact('known'), artifact('late')]
  const sendBlobs = async () => {
    for (const bytes of ['{}', bytesOf(shared)]) await pushWhole(registry, app, Buffer.from(bytes))
  }
  await sendBlobs()
  await pushDocument(registry, app, { document: known, reference: 'v1' })
  await sendBlobs()
  await pushDocument(registry, app, { document: known, reference: 'v2' })
  await remove(engine, known.digest)
  await pushDocument(registry, app, { document: late, reference: 'v3' })
  t.match(await registry.pullManifest(app, tagged('v3')), { digest: late.digest })
})

t.test('R296: an image that was sent twice is gone with its delete', async t => {
  const engine = createEngine()
  for (const tag of ['other', 'other', 'again']) await pushImage(engine.registry, app, other, tag)
  await remove(engine, other.manifest.digest)
  t.same(await held(engine), [])
  await engine.clock.advance(GRACE_MS + 1)
  await engine.registry.collect(quietRun())
  t.strictSame([...engine.disk.blobs.keys()], [])
})

t.test(
  'R255, R296: an image that is pushed again after its delete ends what is pending again',
  async t => {
    const engine = createEngine()
    for (const _ of [1, 2]) {
      await otherImage(engine)
      await remove(engine, other.manifest.digest)
      t.same(await held(engine), [])
    }
  },
)

t.test('R296: it stays also where the catalog was lost meanwhile', async t => {
  const engine = createEngine()
  await otherImage(engine)
  await layer(engine)
  const { catalog } = await rebuilt(engine, everywhere({}))
  const next = createEngine({ after: { ...engine, catalog } })
  await remove(next, other.manifest.digest)
  await finish(next)
  await end(next)
  t.same(await held(next), ['shared'], 'and what no push came for is gone')
})

t.test('R255, R296: what no manifest comes for goes when a push must be over', async t => {
  const engine = createEngine()
  await otherImage(engine)
  await layer(engine)
  await remove(engine, other.manifest.digest)
  await engine.clock.advance(PUSH_MAX_MS - 1)
  await engine.registry.expirePendingBlobs(goesOn)
  t.same(await held(engine), ['shared'], 'not before')
  await engine.clock.advance(2)
  await engine.registry.expirePendingBlobs(goesOn)
  t.same(await held(engine), [])
  await engine.registry.deleteBlob(app, shared)
  await t.rejects(engine.registry.deleteBlob(app, shared), { code: 'BLOB_UNKNOWN' }, 'as any other')
})

t.test('R296: what is sent again after the delete is nobody else’s to take', async t => {
  const engine = createEngine()
  await otherImage(engine)
  await layer(engine)
  await remove(engine, other.manifest.digest)
  await layer(engine)
  await end(engine)
  t.same(await held(engine), ['shared'], 'as a blob that no deleted manifest listed')
})

t.test('R118, R296: a blob that is deleted itself is gone at once', async t => {
  const engine = createEngine()
  await layer(engine)
  await engine.registry.deleteBlob(app, shared)
  t.same(await held(engine), [])
})

t.test('R296: many end by few commits, and no more begin once the edge stops', async t => {
  const stopping = new AbortController()
  let inFlight = 0
  let most = 0
  let ends = 0
  const engine = createEngine({
    catalog: catalog =>
      around(catalog, {
        expirePendingBlob:
          expirePendingBlob =>
          async (...pending) => {
            ends += 1
            most = Math.max(most, ++inFlight)
            await expirePendingBlob(...pending)
            inFlight -= 1
            if (ends === EXPIRED_AT_ONCE) stopping.abort()
          },
      }),
  })
  const all = 2 * EXPIRED_AT_ONCE + 1
  for (let index = 0; index < all; index += 1) await pushWhole(engine.registry, app, `${index}`)
  await engine.clock.advance(PUSH_MAX_MS + 1)
  await engine.registry.expirePendingBlobs(stopping.signal)
  t.equal(ends, EXPIRED_AT_ONCE)
  t.equal(most, EXPIRED_AT_ONCE, 'which is what the catalog commits together')
  await engine.registry.expirePendingBlobs(goesOn)
  t.equal(ends, all, 'the rest is for the next round')
})

t.test('R296: what is acknowledged while others end is none of them', async t => {
  let late: Digest | undefined
  const engine = createEngine({
    catalog: catalog =>
      around(catalog, {
        expirePendingBlob:
          expirePendingBlob =>
          async (...pending) => {
            await expirePendingBlob(...pending)
            if (late !== undefined) return
            late = shared
            await engine.clock.advance(1)
            await layer(engine)
          },
      }),
  })
  for (let index = 0; index < EXPIRED_AT_ONCE; index += 1)
    await pushWhole(engine.registry, base, `${index}`)
  await engine.clock.advance(PUSH_MAX_MS + 1)
  await engine.registry.expirePendingBlobs(goesOn)
  t.equal(late, shared)
  await otherImage(engine)
  await remove(engine, other.manifest.digest)
  t.same(await held(engine), ['shared'], 'its manifest may still come')
})

/** It is here after each of these spans, and gone right after the last. */
async function staysFor(t: Test, engine: Engine, spansMs: readonly number[]) {
  const { registry, clock } = engine
  for (const ms of spansMs) {
    await clock.advance(ms)
    await registry.expirePendingBlobs(goesOn)
    t.same(await held(engine), ['shared'], 'it was told to be here')
  }
  await clock.advance(1)
  await registry.expirePendingBlobs(goesOn)
  t.same(await held(engine), [])
}

t.test('what a delete leaves for a push stays through a grace of days, and no longer', async t => {
  const graceMs = 3 * PUSH_MAX_MS
  const engine = createEngine({ graceMs: () => graceMs })
  const { registry } = engine
  await otherImage(engine)
  await registry.headBlob(app, shared, { mayPush: true })
  await remove(engine, other.manifest.digest)
  await staysFor(t, engine, [0, graceMs - PUSH_MAX_MS, PUSH_MAX_MS])
})

t.test('what a delete leaves for a push stays as long when the grace becomes shorter', async t => {
  const longMs = 7 * PUSH_MAX_MS
  let graceMs = longMs
  const engine = createEngine({ graceMs: () => graceMs })
  const { registry } = engine
  await registry.graceLeftMs()
  await otherImage(engine)
  await registry.headBlob(app, shared, { mayPush: true })
  await remove(engine, other.manifest.digest)
  graceMs = GRACE_MS
  await staysFor(t, engine, [0, longMs])
})

t.test('R632: a clock that is put back ends no push, and holds none for long', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  await otherImage(engine)
  clock.jump(10 * PUSH_MAX_MS)
  await layer(engine)
  clock.jump(-10 * PUSH_MAX_MS)
  await registry.expirePendingBlobs(goesOn)
  await remove(engine, other.manifest.digest)
  t.same(await held(engine), ['shared'], 'its manifest may come any moment')
  // By then the clock is believed.
  await clock.advance(GRACE_MS)
  await registry.collect(quietRun())
  await clock.advance(PUSH_MAX_MS - 1)
  await registry.expirePendingBlobs(goesOn)
  t.same(await held(engine), ['shared'])
  await clock.advance(2)
  await registry.expirePendingBlobs(goesOn)
  t.same(await held(engine), [])
})
