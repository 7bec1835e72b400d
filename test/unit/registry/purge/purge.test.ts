// Goal: a purge that takes its time takes nothing along that a client has been told of meanwhile.
// Method: the engine over in-memory twins; a push comes between what is planned and what is done.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { parseTag, type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import { asRecorded } from '../../../../src/registry/content/edges.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { beforeCall } from '../../../kit/worlds/before-call.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { document, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = repositoryOf('team/app')
const elsewhere = repositoryOf('team/other')
const mine = localOf('mine/app')
const bytes = 'a layer that was here before'
const digest = digestOf(Buffer.from(bytes))
const layers = [{ mediaType: 'application/octet-stream', digest, size: bytes.length }]

function how(dryRun = false) {
  return { ...quietRun({ dryRun }), kept: false }
}

/** A blob that was pulled: `work` is done before it is taken out, or before it is looked at. */
async function purgedMeanwhile(
  work: (engine: Engine) => Promise<unknown>,
  { isTaken }: { readonly isTaken: boolean },
) {
  const policies = [{ match: 'docker.io/**', push: 'queue' as const }]
  const meanwhile = beforeCall('removeMember', () => work(engine))
  const engine = createEngine({ policies, ...(isTaken ? { catalog: meanwhile } : {}) })
  const { registry, store, content } = engine
  await store.put(digest, Buffer.from(bytes), 'cached')
  await content.recordHere({ repository: app, digest, atMs: 1, hold: 'nothing' })
  const pause = async () => void (isTaken || (await work(engine)))
  const result = await registry.purge({ kind: 'content', digest }, { ...how(), pause })
  return { ...engine, result }
}

t.test('R352: a blob that is pushed during a purge stays, as the client was told', async t => {
  const push = ({ registry }: Engine) => pushWhole(registry, app, bytes)
  const { result, catalog, store } = await purgedMeanwhile(push, { isTaken: false })
  t.match(result.held, [{ reason: /a push under way/ }])
  t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  t.ok(await catalog.findMember(app, digest))
  t.ok(await store.find(digest))
})

t.test('R352: so does one of which a client is told that it is there', async t => {
  const ask = (engine: Engine) => engine.registry.headBlob(app, digest, { mayPush: true })
  const { result, registry, store } = await purgedMeanwhile(ask, { isTaken: true })
  t.match(result.held, [{ reason: /a push under way/ }])
  t.match(await registry.headBlob(app, digest, { mayPush: true }), { source: 'hit' })
  t.ok(await store.find(digest))
})

t.test('R352: so does a manifest that is pushed there, for which nobody was leased it', async t => {
  const empty = document(OCI_MANIFEST, { schemaVersion: 2, layers: [] })
  const policies = [{ match: 'docker.io/**', push: 'queue' as const }]
  const push = (): Promise<unknown> => pushDocument(engine.registry, app, { document: empty })
  const engine: Engine = createEngine({
    policies,
    catalog: beforeCall('evictImage', push),
    upstream: {
      getManifest: async () => ({ ...empty, declaredDigest: empty.digest, warnings: [] }),
    },
  })
  const { registry, catalog } = engine
  await registry.pullManifest(app, digested(empty.digest))
  const selector = { kind: 'content', digest: empty.digest } as const
  t.match(await registry.purge(selector, how()), {
    count: 0,
    held: [{ reason: /it was pushed here/ }],
  })
  t.same(await catalog.holdsOf(app, empty.digest), ['undelivered'])
})

t.test('what a tag leads to that was pushed here stays, also when it was delivered', async t => {
  const image = makeImage({ seed: 'delivered', layers: [9] })
  const policies = [{ match: 'docker.io/**', push: 'queue' as const }]
  const { registry, catalog } = createEngine({ policies })
  await pushImage(registry, app, image, 'v1')
  const { digest: pushed } = image.manifest
  // Its content is at the upstream, and its tag is not.
  const settled = { repository: app, digest: pushed, tags: [], atMs: 2 }
  for (const { id } of await catalog.listDeliveriesOf(repositoryKey(app)))
    await catalog.removeDelivery(id, settled)
  t.match(await catalog.findContent(pushed), { contentClass: 'cached' })
  t.match(await catalog.findTag(app, parseTag('v1')), { local: true })
  const selector = { kind: 'repositories', repositories: repositoryKey(app) } as const
  for (const dryRun of [true, false])
    t.match(await registry.purge(selector, how(dryRun)), {
      count: 0,
      held: [{ what: /team\/app:v1$/, reason: /it was pushed here/ }],
    })
  t.match(await registry.purge(selector, { ...how(), kept: true }), { count: 1, held: [] })
  t.equal(await catalog.findTag(app, parseTag('v1')), undefined)
})

t.test('an index goes behind what it lists, in whatever order they are found', async t => {
  const orders = new Set<boolean>()
  for (let seed = 0; orders.size < 2; seed += 1) {
    const child = makeImage({ seed, layers: [9] })
    const index = makeIndex([child])
    orders.add(child.manifest.digest < index.manifest.digest)
    const { registry } = createEngine({})
    await pushImage(registry, mine, child, 'child')
    await pushDocument(registry, mine, { document: index.manifest, reference: 'index' })
    const all = { kind: 'repositories', repositories: repositoryKey(mine) } as const
    const { gone } = await registry.purge(all, { ...how(), kept: true })
    t.match(
      gone.map(({ what }) => what),
      [/:child$/, /:index$/],
    )
  }
})

t.test('R352: a blob leaves where it was only pulled, and stays where it was pushed', async t => {
  const { registry, content, catalog, store } = createEngine({})
  await pushWhole(registry, mine, bytes)
  const listing = document(OCI_MANIFEST, { schemaVersion: 2, layers })
  await pushDocument(registry, mine, { document: listing, reference: 'v1' })
  await content.recordHere({ repository: app, digest, atMs: 1, hold: 'nothing' })
  const selector = { kind: 'content', digest } as const
  for (const dryRun of [true, false])
    t.match(await registry.purge(selector, how(dryRun)), {
      gone: [{ what: /team\/app@/, bytes: 0 }],
      held: [{ what: /^localhost/, reason: /it was pushed here/ }],
    })
  t.equal(await catalog.findMember(app, digest), undefined)
  t.ok(await catalog.findMember(mine, digest))
  t.ok(await store.find(digest))
})

t.test(
  'R490: what another repository came to need during a purge is not told as freed',
  async t => {
    const listing = document(OCI_MANIFEST, { schemaVersion: 2, layers })
    const { digest: listed, bytes: body } = listing
    const manifest = asRecorded(parseManifest(body, OCI_MANIFEST), listed, body.length)
    const give = (catalog: Catalog, repository: Repository) =>
      catalog.recordManifest({ repository, manifest, atMs: 1 })
    for (const isNeeded of [false, true]) {
      const meanwhile = beforeCall('evictImage', under => give(under, elsewhere))
      const engine = createEngine(isNeeded ? { catalog: meanwhile } : {})
      const { registry, catalog, content, store } = engine
      await store.put(digest, Buffer.from(bytes), 'cached')
      await content.recordHere({ repository: app, digest, atMs: 1, hold: 'nothing' })
      await store.put(listed, body, 'cached')
      await give(catalog, app)
      const selector = {
        kind: 'manifest',
        repositories: repositoryKey(app),
        digest: listed,
      } as const
      const freedBytes = isNeeded ? 0 : 2 * 4096
      t.match(await registry.purge(selector, how()), { count: 1, freedBytes })
      t.equal((await store.find(digest)) !== undefined, isNeeded)
    }
  },
)

t.test('R465: a push that was told what is here ends, whatever is purged meanwhile', async t => {
  const leaf = makeImage({ seed: 'leaf', layers: [9] })
  const orphan = Buffer.from('sent before its manifest')
  const listing = document(OCI_MANIFEST, {
    schemaVersion: 2,
    layers: [
      { mediaType: 'x/y', digest: digestOf(orphan), size: orphan.length },
      { mediaType: 'x/y', digest: leaf.config.digest, size: leaf.config.sizeBytes },
    ],
  })
  const { registry, catalog } = createEngine({})
  await pushImage(registry, mine, leaf, 'v1')
  await registry.headManifest(mine, { ...digested(leaf.manifest.digest), mayPush: true })
  await registry.headBlob(mine, leaf.config.digest, { mayPush: true })
  await pushWhole(registry, mine, orphan)
  const all = { kind: 'repositories', repositories: 'localhost/**' } as const
  for (const dryRun of [true, false])
    t.match(await registry.purge(all, { ...how(dryRun), kept: true }), {
      count: 0,
      held: [{ reason: /a push under way/ }, { reason: /a push under way/ }],
    })
  const push = (pushed: { bytes: Buffer; mediaType: string; digest: typeof digest }) =>
    pushDocument(registry, mine, { document: pushed })
  await push(makeIndex([leaf]).manifest)
  await push(listing)
  const named = { kind: 'content', digest: leaf.manifest.digest } as const
  t.match(await registry.purge(named, { ...how(), kept: true }), { count: 1, held: [] })
  t.equal(await catalog.findMember(mine, leaf.manifest.digest), undefined, 'who names it means it')
})
