// Goal: a client that pushes can list anything, and gains nothing by it: no bytes of another
// repository, nothing that was deleted, not at this edge, not at the upstream, and not after the
// catalog was lost (R179). Method: the engine over in-memory twins.
import t, { type Test } from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { LOCALHOST, type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import { isComplete } from '../../../../src/registry/content/completeness.ts'
import { SPARSE_MISSING_MAX } from '../../../../src/registry/push/check-references.ts'
import { FOREIGN_NAMED_MAX } from '../../../../src/registry/ports/facts.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { type Document, document, makeImage, makeIndex } from '../../../kit/image.ts'
import {
  digested,
  pushDocument,
  tagged,
  pushImage,
  pushParts,
} from '../../../kit/clients/push-image.ts'
import { rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'
import { factName } from '../../../../src/store/fact-text.ts'

const secret = localOf('secret')
const app = localOf('team/app')
const sparse = localOf('sparse')
const rules = [
  {
    match: 'localhost/sparse',
    push: 'store',
    sparse: true,
    deletable: true,
    onConflict: 'park',
    immutable: [],
  },
  {
    match: 'localhost/**',
    push: 'store',
    sparse: false,
    deletable: true,
    onConflict: 'park',
    immutable: [],
  },
  { match: '**', push: 'queue', sparse: true, deletable: true, onConflict: 'park', immutable: [] },
] as const
const image = makeImage({ seed: 'secret', layers: [10, 20] })
const { manifest } = image
const blobs = [image.config, ...image.layers]
const CONFIG = document('application/json', {})
const described = ({ digest, sizeBytes: size }: { digest: Digest; sizeBytes: number }) => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest,
  size,
})

/** Lists the layers of another repository's image as what is fetched from elsewhere. */
function foreignImage(): Document {
  return foreignOver(image.layers)
}

function foreignOver(blobs: readonly { digest: Digest; sizeBytes: number }[]): Document {
  const layers = blobs.map(layer => ({ ...described(layer), urls: ['https://x.example/'] }))
  const config = described({ digest: CONFIG.digest, sizeBytes: CONFIG.bytes.length })
  return document(OCI_MANIFEST, { schemaVersion: 2, config, layers })
}

async function assertClosed(
  t: Test,
  { registry, catalog }: Pick<Engine, 'registry' | 'catalog'>,
  repository: Repository,
  digests: readonly Digest[],
) {
  for (const digest of digests) {
    t.equal(await isMemberOf(catalog, repository, digest), false, `${digest} is no member`)
    if (repository.registry !== LOCALHOST) continue
    await t.rejects(registry.pullBlob(repository, digest), { code: 'BLOB_UNKNOWN' })
    await t.rejects(registry.headBlob(repository, digest), { code: 'BLOB_UNKNOWN' })
    const from = { digest, from: repository, mayReadAny: () => true }
    t.equal(await registry.mountBlob(localOf('next'), from), undefined)
  }
}

/** With the catalog, and with the one that is built when it was lost, and again. */
async function throughLoss(engine: Engine, assert: (engine: Engine) => Promise<void>) {
  await assert(engine)
  const { catalog } = await rebuilt(engine, rules)
  const next = createEngine({ after: { ...engine, catalog }, policies: rules })
  await assert(next)
  return next
}

async function withSecret(): Promise<Engine> {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, secret, image, 'v1')
  return engine
}

t.test('R64, R179: a layer to be fetched from elsewhere opens no other repository', async t => {
  const engine = await withSecret()
  await pushWhole(engine.registry, app, CONFIG.bytes)
  const foreign = foreignImage()
  await pushDocument(engine.registry, app, { document: foreign, reference: 'v1' })
  const digests = image.layers.map(({ digest }) => digest)
  const next = await throughLoss(engine, async each => {
    await assertClosed(t, each, app, digests)
    t.same((await each.registry.pullManifest(app, digested(foreign.digest))).bytes, foreign.bytes)
    for (const digest of digests) t.match(await each.registry.headBlob(secret, digest), { digest })
  })
  // Whoever has the bytes may bring them: then they are there, and stay once a manifest is pushed
  // that lists them.
  const [layer] = image.layers
  const digest = layer?.digest as Digest
  await pushWhole(next.registry, app, layer?.bytes() ?? '')
  t.match(await next.registry.headBlob(app, digest), { digest })
  await pushDocument(next.registry, app, { document: foreign, reference: 'v1' })
  await throughLoss(next, async ({ registry }) => {
    t.match(await registry.headBlob(app, digest), { digest })
  })
})

t.test('R113, R179: what a sparse repository lists opens no other repository', async t => {
  for (const repository of [sparse, repositoryOf('team/app')]) {
    const engine = await withSecret()
    const index = makeIndex([image])
    await pushDocument(engine.registry, repository, { document: index.manifest, reference: 'v1' })
    const digests = [manifest, ...blobs].map(({ digest }) => digest)
    await throughLoss(engine, each => assertClosed(t, each, repository, digests))
    await pushDocument(engine.registry, repository, { document: manifest })
    await throughLoss(engine, async each => {
      const here = await each.registry.pullManifest(repository, digested(manifest.digest))
      t.same(here.bytes, manifest.bytes, 'whoever has the manifest may bring it')
      await assertClosed(t, each, repository, digests.slice(1))
    })
    // An index over it, and the manifest once more, lead no further.
    const outer = { schemaVersion: 2, manifests: image.layers.map(described) }
    await pushDocument(engine.registry, repository, { document: document(OCI_INDEX, outer) })
    await pushDocument(engine.registry, secret, { document: manifest, reference: 'v2' })
    await throughLoss(engine, each => assertClosed(t, each, repository, digests.slice(1)))
  }
})

// What had been taken before there was a bound could be tagged no more.
t.test('R274: a sparse manifest that is here is tagged again, whatever it lacks', async t => {
  const { registry, facts } = createEngine({ policies: rules })
  const manifests = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => {
      const { digest, bytes } = document('x', { at: from + at })
      return described({ digest, sizeBytes: bytes.length })
    })
  const index = (from: number, to: number) =>
    document(OCI_INDEX, { schemaVersion: 2, manifests: manifests(from, to) })
  const push = (pushed: Document, reference: string) =>
    pushDocument(registry, sparse, { document: pushed, reference })
  const whole = index(0, SPARSE_MISSING_MAX + 1)
  const refused = { code: 'MANIFEST_BLOB_UNKNOWN' }
  await t.rejects(push(whole, 'v1'), refused)
  await push(index(0, 1), 'part')
  await push(whole, 'v1')
  const written = (await factsOf(facts, 'deleted')).length
  t.equal(written, SPARSE_MISSING_MAX + 1)
  await push(whole, 'v2')
  t.match(await registry.pullManifest(sparse, tagged('v2')), { digest: whole.digest })
  await t.rejects(push(index(2_000, 3_001), 'v3'), refused, 'others count')
})

t.test('R274: to tag a manifest once more writes no tombstone again', async t => {
  const { registry, facts, clock } = createEngine({ policies: rules })
  const { manifest: index } = makeIndex([image])
  await pushDocument(registry, sparse, { document: index, reference: 'v1' })
  const before = await factsOf(facts, 'deleted')
  t.equal(before.length, 1)
  await clock.advance(1_000)
  await pushDocument(registry, sparse, { document: index, reference: 'v2' })
  t.same(await factsOf(facts, 'deleted'), before)
})

t.test('R179: a tombstone that cannot be read is written again by the next push', async t => {
  const engine = createEngine({ policies: rules })
  const { registry, facts, disk } = engine
  const { manifest: index } = makeIndex([image])
  await pushDocument(registry, sparse, { document: index, reference: 'v1' })
  const [tombstone] = await factsOf(facts, 'deleted')
  if (tombstone === undefined) throw new Error('it lists what is not here')
  disk.facts.set(factName(tombstone), '{')
  t.same(await factsOf(facts, 'deleted'), [])
  await pushDocument(registry, sparse, { document: index, reference: 'v2' })
  t.match(await factsOf(facts, 'deleted'), [{ digest: tombstone.digest }])
  await pushImage(registry, secret, image)
  await throughLoss(engine, each => assertClosed(t, each, sparse, [tombstone.digest]))
})

t.test('R250, R274: layers from elsewhere cost a push no fact each', async t => {
  const engine = createEngine({ policies: rules })
  await pushParts(engine.registry, app, image)
  await pushWhole(engine.registry, app, CONFIG.bytes)
  const [uploaded] = image.layers
  const elsewhere = Array.from({ length: 400 }, (_, at) => document('x', { at }))
  const absent = elsewhere.map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.length }))
  const pushed = foreignOver([uploaded as (typeof absent)[0], ...absent])
  await pushDocument(engine.registry, app, { document: pushed, reference: 'v1' })
  const { digest } = uploaded as (typeof absent)[0]
  const about = { repository: repositoryKey(app), digest: pushed.digest }
  t.match(await factsOf(engine.facts, 'manifest'), [{ ...about, foreign: [digest] }])
  t.same((await factsOf(engine.facts, 'manifest')).length, 1)
  t.same((await factsOf(engine.facts, 'tag')).length, 1)
  t.same(await factsOf(engine.facts, 'deleted'), [])
  await throughLoss(engine, async each => {
    t.match(await each.registry.headBlob(app, digest), { digest }, 'a client has sent it')
    await assertClosed(t, each, app, [absent[0]?.digest as Digest, absent[399]?.digest as Digest])
  })
  await engine.registry.deleteBlob(app, digest)
  await throughLoss(engine, each => assertClosed(t, each, app, [digest]))
})

t.test(
  'R250: a fact names the layers from elsewhere that clients have sent, or the others',
  async t => {
    const engine = createEngine({ policies: rules })
    await pushWhole(engine.registry, app, CONFIG.bytes)
    const layers = Array.from({ length: FOREIGN_NAMED_MAX + 2 }, (_, at) => document('x', { at }))
    const sized = layers.map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.length }))
    const sent = layers.slice(0, FOREIGN_NAMED_MAX)
    const [next, absent] = layers.slice(FOREIGN_NAMED_MAX)
    for (const { bytes } of sent) await pushWhole(engine.registry, app, bytes)
    const pushed = { document: foreignOver(sized), reference: 'v1' }
    await pushDocument(engine.registry, app, pushed)
    const foreign = sent.map(({ digest }) => digest)
    t.match(await factsOf(engine.facts, 'manifest'), [{ foreign }])
    await pushWhole(engine.registry, app, next?.bytes ?? Buffer.alloc(0))
    await pushDocument(engine.registry, app, pushed)
    t.match(await factsOf(engine.facts, 'manifest'), [{ absent: [absent?.digest] }])
  },
)

t.test('R250: what the facts of earlier versions say of layers from elsewhere holds', async t => {
  const engine = await withSecret()
  const [uploaded, absent] = image.layers.map(({ digest }) => digest)
  await pushParts(engine.registry, app, image)
  await engine.registry.deleteBlob(app, absent as Digest)
  await pushWhole(engine.registry, app, CONFIG.bytes)
  await pushDocument(engine.registry, app, { document: foreignImage(), reference: 'v1' })
  const facts = await factsOf(engine.facts, 'manifest')
  // Without the field, and a tombstone for what is not there: here that of the delete.
  for (const { kind, repository, digest, mediaType, atMs } of facts)
    await engine.facts.write([{ kind, repository, digest, mediaType, atMs }])
  await throughLoss(engine, async each => {
    t.match(await each.registry.headBlob(app, uploaded as Digest), { digest: uploaded })
    await assertClosed(t, each, app, [absent as Digest])
  })
})

t.test('R118, R179: a deleted blob does not come back by a new index over its image', async t => {
  const engine = await withSecret()
  const [layer] = image.layers
  const digest = layer?.digest as Digest
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteBlob(app, digest)
  await pushDocument(engine.registry, app, { document: makeIndex([image]).manifest })
  await throughLoss(engine, each => assertClosed(t, each, app, [digest]))
  const again = pushDocument(engine.registry, app, { document: manifest, reference: 'v2' })
  await t.rejects(again, { code: 'MANIFEST_BLOB_UNKNOWN' })
})

t.test('R179: a manifest that is uploaded as a blob lists nothing', async t => {
  const engine = await withSecret()
  await pushWhole(engine.registry, app, manifest.bytes)
  const digests = blobs.map(({ digest }) => digest)
  await throughLoss(engine, each => assertClosed(t, each, app, digests))
})

t.test('R179: everything that is pushed whole is there, before and after a loss', async t => {
  const engine = await withSecret()
  const index = makeIndex([image])
  await pushImage(engine.registry, app, index, 'v1')
  t.same(await factsOf(engine.facts, 'deleted'), [])
  await throughLoss(engine, async ({ registry }) => {
    for (const { digest } of blobs) t.match(await registry.headBlob(app, digest), { digest })
    for (const each of [index.manifest, manifest])
      t.same((await registry.pullManifest(app, digested(each.digest))).bytes, each.bytes)
  })
})

t.test('R179: a blob that comes while a manifest that lists it is pushed stays', async t => {
  const begun = Promise.withResolvers<void>()
  const engine = createEngine({
    policies: rules,
    facts: facts =>
      around(facts, {
        write:
          write =>
          async (...args) => {
            begun.resolve()
            // Long enough for the blobs to come, were they not to wait.
            for (let turns = 50; turns > 0; turns--)
              await new Promise(resolve => setImmediate(resolve))
            await write(...args)
          },
      }),
  })
  const push = pushDocument(engine.registry, sparse, { document: manifest })
  await begun.promise
  await Promise.all([push, pushParts(engine.registry, sparse, image)])
  await throughLoss(engine, async ({ registry }) => {
    for (const { digest } of blobs) t.match(await registry.headBlob(sparse, digest), { digest })
  })
})

t.test(
  'R179: offline, what is listed and does not belong here makes an image incomplete',
  async t => {
    const engine = createEngine({ policies: rules })
    await pushImage(engine.registry, secret, image)
    const proxied = repositoryOf('team/app')
    await pushDocument(engine.registry, proxied, { document: manifest, reference: 'v1' })
    const { registry, catalog } = engine
    const fact = await catalog.findManifest(proxied, manifest.digest)
    const isWhole = async () => fact !== undefined && (await isComplete(engine, proxied, fact))
    t.equal(await isWhole(), false)
    await pushParts(registry, proxied, image)
    t.equal(await isWhole(), true)
  },
)
