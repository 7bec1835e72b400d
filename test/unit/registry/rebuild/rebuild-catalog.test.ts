// Goal: a lost catalog costs nothing that a client was told: no push, no delivery, and nothing that
// was deleted comes back. Method: the engine over in-memory twins, whose catalog is thrown away and
// built again from its facts.
import t from 'tap'
import { everyCall } from '../../../kit/around.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { parseDelivery } from '../../../../src/registry/deliveries/delivery-payload.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import type { ListedFact } from '../../../../src/registry/ports/facts.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const app = localOf('team/app')
const proxied = repositoryOf('team/app')
const image = makeImage({ seed: 'rebuild', layers: [10, 20] })
const { manifest } = image
const v1 = tagged('v1').reference
const page = { limit: 99, after: undefined }
const rules = everywhere({ push: 'queue' })

/** The engine over the catalog that was built, with the same disk. */
async function lose(engine: Engine) {
  const { catalog, report, events } = await rebuilt(engine, rules)
  const next = createEngine({ after: { ...engine, catalog }, policies: rules })
  return { ...next, report, lost: events }
}

async function carriedOf(catalog: Catalog) {
  const entries = await catalog.listDeliveriesOf(repositoryKey(proxied))
  return entries.map(({ id, payload }) => {
    return { id, tags: parseDelivery(payload)?.tags.map(({ tag }) => `${tag}`) }
  })
}

t.test('what was kept here is all there: tags, manifests, blobs, children, referrers', async t => {
  const engine = createEngine({ policies: rules })
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  const index = makeIndex([image])
  await pushImage(engine.registry, app, index, 'v1')
  await pushImage(engine.registry, app, signature)
  const { registry, catalog, report, lost } = await lose(engine)
  t.match(report, { isDone: true, manifests: 3, tags: 1, blobs: 5, lost: 0, deliveries: 0 })
  t.same(lost, [])
  t.equal(catalog.rebuilt, true)
  t.match(await registry.pullManifest(app, tagged('v1')), { digest: index.manifest.digest })
  t.same((await registry.pullManifest(app, digested(manifest.digest))).bytes, manifest.bytes)
  for (const { digest, sizeBytes } of [image.config, ...image.layers])
    t.match(await registry.headBlob(app, digest), { sizeBytes })
  const { manifests } = await registry.listReferrers(app, manifest.digest, [])
  t.match(manifests, [{ digest: signature.manifest.digest }])
  t.same((await registry.listTags(app, page)).tags, ['v1'])
  const held = await registry.listRepositories({ limit: 9, after: undefined })
  t.same(held.repositories, ['localhost/team/app'])
  t.match(await catalog.findTag(app, v1.tag), { local: true })
  t.match(await catalog.findContent(image.config.digest), { contentClass: 'kept' })
  t.match(await rebuilt(engine, rules, catalog), { report: { isDone: false, manifests: 0 } })
})

t.test(
  'what was stored by its digest alone is held, and a delete elsewhere takes none',
  async t => {
    const stored = everywhere({ push: 'store' })
    const engine = createEngine({ policies: stored })
    await pushImage(engine.registry, proxied, image)
    const { catalog } = await rebuilt(engine, stored)
    t.same(await catalog.holdsOf(proxied, manifest.digest), ['pushed'])
    const next = createEngine({ after: { ...engine, catalog }, policies: stored })
    const other = repositoryOf('team/other')
    await pushImage(next.registry, other, image)
    await next.registry.deleteManifest(other, digested(manifest.digest).reference)
    for (const { digest } of [manifest, image.config, ...image.layers])
      t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  },
)

t.test('what one repository was pushed is not another’s', async t => {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, app, image, 'v1')
  const { registry } = await lose(engine)
  await t.rejects(registry.headBlob(localOf('other'), image.config.digest), {
    code: 'BLOB_UNKNOWN',
  })
})

t.test(
  'what waits to be delivered still does, in its order, and later pushes come after it',
  async t => {
    const engine = createEngine({ policies: rules })
    const other = makeImage({ seed: 'other', layers: [5] })
    await pushImage(engine.registry, proxied, image, 'v1')
    await engine.clock.advance(1)
    await pushDocument(engine.registry, proxied, { document: manifest, tags: ['v2', 'v3'] })
    await pushImage(engine.registry, proxied, other)
    const before = await engine.catalog.listDeliveriesOf(repositoryKey(proxied))
    const { registry, catalog, report } = await lose(engine)
    t.match(report, { deliveries: 3, droppedDeliveries: 0, tags: 3 })
    const after = await catalog.listDeliveriesOf(repositoryKey(proxied))
    t.same(
      after.map(({ id, payload, createdAtMs }) => ({ id, payload, createdAtMs })),
      before.map(({ id, payload, createdAtMs }) => ({ id, payload, createdAtMs })),
    )
    t.ok(
      after.every(({ inDoubt }) => inDoubt),
      'a request of the old process may still arrive',
    )
    for (const tag of ['v1', 'v2', 'v3'])
      t.match(await registry.headManifest(proxied, tagged(tag)), { source: 'local' })
    await pushImage(registry, proxied, other, 'v1')
    const ids = (await carriedOf(catalog)).map(({ id }) => id)
    t.ok((ids.at(-1) ?? 0) > Math.max(...before.map(({ id }) => id)))
  },
)

t.test('a tag that the upstream has by now is asked for there', async t => {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, proxied, image, 'v1')
  const [entry] = await engine.catalog.listDeliveriesOf(repositoryKey(proxied))
  await engine.facts.remove([{ kind: 'delivery', id: entry?.id ?? 0 }])
  const { catalog } = await lose(engine)
  t.match(await catalog.findTag(proxied, v1.tag), { digest: manifest.digest, local: false })
})

t.test('R118: what was deleted stays deleted, though something still lists it', async t => {
  const engine = createEngine({ policies: rules })
  const index = makeIndex([image])
  const [layer] = image.layers
  const other = makeImage({ seed: 'other', layers: [5] })
  await pushImage(engine.registry, app, index, 'v1')
  await pushImage(engine.registry, app, image, 'v2')
  await pushImage(engine.registry, app, other, 'v3')
  await engine.registry.deleteBlob(app, layer?.digest as Digest)
  await engine.registry.deleteManifest(app, digested(manifest.digest).reference)
  await engine.registry.deleteManifest(app, tagged('v3').reference)
  const { registry, report } = await lose(engine)
  t.match(report, { deletes: 2, tags: 1, manifests: 2 })
  t.same((await registry.listTags(app, page)).tags, ['v1'])
  const gone = { code: 'MANIFEST_UNKNOWN' }
  await t.rejects(registry.pullManifest(app, digested(manifest.digest)), gone)
  await t.rejects(registry.headBlob(app, layer?.digest as Digest), { code: 'BLOB_UNKNOWN' })
  t.match(await registry.pullManifest(app, digested(other.manifest.digest)), { source: 'local' })
})

t.test('R118: what was deleted and pushed again is there', async t => {
  const engine = createEngine({ policies: rules })
  const [layer] = image.layers
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(manifest.digest).reference)
  await engine.registry.deleteBlob(app, layer?.digest as Digest)
  await pushImage(engine.registry, app, image, 'v1')
  const { registry, report } = await lose(engine)
  t.match(report, { deletes: 0, tags: 1 })
  t.match(await registry.headManifest(app, tagged('v1')), { digest: manifest.digest })
  t.match(await registry.headBlob(app, layer?.digest as Digest), { sizeBytes: 10 })
})

t.test('R335: the order of pushes and deletes outlives the catalog, and goes on above', async t => {
  const engine = createEngine({ policies: rules })
  await engine.catalog.raiseSequence(1_000_000)
  const other = makeImage({ seed: 'other', layers: [5] })
  await pushImage(engine.registry, app, image, 'v1')
  await pushImage(engine.registry, proxied, image, 'v1')
  await pushImage(engine.registry, app, other, 'v2')
  const orderOf = async (catalog: Catalog, repository = app) =>
    (await catalog.findTag(repository, v1.tag))?.order
  const before = await orderOf(engine.catalog)
  const queued = await orderOf(engine.catalog, proxied)
  t.ok((before?.number ?? 0) > 1_000_000)
  t.ok((queued?.number ?? 0) > (before?.number ?? 0), 'a later push has a larger number')
  const manifests = await factsOf(engine.facts, 'manifest')
  await engine.registry.deleteManifest(app, digested(other.manifest.digest).reference)
  const [deleted] = await factsOf(engine.facts, 'deleted')
  t.ok((deleted?.order?.number ?? 0) > (queued?.number ?? 0), 'so has a delete')
  const { registry, catalog, facts } = await lose(engine)
  t.same(await orderOf(catalog), before)
  t.same(await orderOf(catalog, proxied), queued)
  // As of a delete that was cut off before the fact of what it deletes went.
  await facts.write(manifests.filter(({ digest }) => digest === deleted?.digest))
  await registry.compareFacts(new AbortController().signal)
  t.same((await factsOf(facts, 'deleted'))[0]?.order, deleted?.order, 'told anew, it has its order')
  t.same(
    (await factsOf(facts, 'tag')).find(({ repository }) => repository === repositoryKey(app))
      ?.order,
    before,
  )
  await pushImage(registry, app, other, 'v1')
  t.ok(((await orderOf(catalog))?.number ?? 0) > (deleted?.order?.number ?? 0))
})

t.test('R335: a blob that is deleted has an order', async t => {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteBlob(app, image.config.digest)
  const [deleted] = await factsOf(engine.facts, 'deleted')
  const { number = 0 } = (await engine.catalog.findTag(app, v1.tag))?.order ?? {}
  t.ok((deleted?.order?.number ?? 0) > number)
})

t.test('an entry that a later push has overtaken takes no tag back', async t => {
  const engine = createEngine({ policies: rules })
  const other = makeImage({ seed: 'other', layers: [5] })
  await pushImage(engine.registry, proxied, image, 'v1')
  await engine.clock.advance(1)
  await pushImage(engine.registry, proxied, other, 'v1')
  const [first, second] = await carriedOf(engine.catalog)
  // The later one is delivered, while what the earlier one left was never cleared up.
  await engine.facts.remove([{ kind: 'delivery', id: second?.id ?? 0 }])
  const { catalog } = await lose(engine)
  t.same(await carriedOf(catalog), [{ id: first?.id, tags: [] }])
  t.match(await catalog.findTag(proxied, v1.tag), { digest: other.manifest.digest })
  const again = await rebuilt(engine, rules)
  t.same(await carriedOf(again.catalog), [{ id: first?.id, tags: [] }])
})

t.test(
  'the fact of a push that nobody was told of, and that was made again, is not carried',
  async t => {
    const engine = createEngine({ policies: rules })
    await pushImage(engine.registry, proxied, image, 'v1')
    const [entry] = await engine.catalog.listDeliveriesOf(repositoryKey(proxied))
    if (entry === undefined) throw new Error('nothing is queued')
    await engine.clock.advance(1)
    await pushImage(engine.registry, proxied, image, 'v1')
    const [, second] = await carriedOf(engine.catalog)
    await engine.facts.remove([{ kind: 'delivery', id: second?.id ?? 0 }])
    const { catalog } = await lose(engine)
    t.same(await carriedOf(catalog), [{ id: entry.id, tags: [] }])
  },
)

t.test('what is deleted here is not delivered after all', async t => {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, proxied, image, 'v1')
  const [entry] = await engine.catalog.listDeliveriesOf(repositoryKey(proxied))
  const { carrier = 'queue', payload = '', key = '', id = 0, createdAtMs = 0 } = entry ?? {}
  await engine.registry.deleteManifest(proxied, digested(manifest.digest).reference)
  await engine.facts.write([{ kind: 'delivery', carrier, payload, key, id, createdAtMs }])
  const { catalog, report, disk } = await lose(engine)
  t.match(report, { deliveries: 0, droppedDeliveries: 1 })
  t.same(await carriedOf(catalog), [])
  t.notOk([...disk.facts.values()].some(text => text.includes('"kind":"delivery"')))
})

t.test('bytes that are gone are told of, and everything else is there', async t => {
  const engine = createEngine({ policies: rules })
  const other = makeImage({ seed: 'other', layers: [5] })
  await pushImage(engine.registry, app, image, 'v1')
  await pushImage(engine.registry, app, other, 'v2')
  await pushImage(engine.registry, proxied, image, 'v1')
  engine.disk.blobs.delete(manifest.digest)
  engine.disk.facts.set('0'.repeat(64), '{')
  const { registry, catalog, report, lost } = await lose(engine)
  t.match(report, { manifests: 1, tags: 1, lost: 4, deliveries: 1 })
  t.match(lost[0], { kind: 'storage failed', failure: 'corrupt', hint: /push it again/ })
  t.match(await registry.pullManifest(app, tagged('v2')), { digest: other.manifest.digest })
  t.equal((await carriedOf(catalog)).length, 1, 'the queue shows what cannot be delivered')
  await pushImage(registry, app, image, 'v1')
  t.match(await registry.pullManifest(app, tagged('v1')), { digest: manifest.digest })
})

t.test('a rebuild that was cut off begins again', async t => {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, proxied, makeIndex([image]), 'v1')
  await engine.registry.deleteManifest(proxied, digested(manifest.digest).reference)
  await pushImage(engine.registry, app, image, 'v2')
  const whole = await rebuilt(engine, rules)
  const said = async (catalog: Catalog) => [
    await catalog.listTags(app, { limit: 9 }),
    await catalog.listTags(proxied, { limit: 9 }),
    await catalog.listContent({ limit: 99 }),
    await catalog.listDeliveries({ limit: 9 }),
    await isMemberOf(catalog, proxied, manifest.digest),
  ]
  let isCut = true
  for (let at = 0; isCut; at++) {
    const catalog = createMemoryCatalog()
    let left = at
    const cut = everyCall(catalog, (call, args, name) => {
      const isWrite = /^(record|remove|change|raise|mark)/.test(name)
      if (isWrite && left-- <= 0) return Promise.reject(new StoreError('io', 'cut off'))
      return call(...args)
    })
    isCut = await rebuilt(engine, rules, cut).then(
      () => false,
      () => true,
    )
    t.equal(catalog.rebuilt, !isCut, `at ${at}`)
    await rebuilt(engine, rules, catalog)
    t.same(await said(catalog), await said(whole.catalog), `at ${at}`)
  }
})

t.test('the first start has nothing to build, and is not asked again', async t => {
  const engine = createEngine()
  const { catalog, report } = await rebuilt(engine, rules)
  t.match(report, { isDone: true, manifests: 0, tags: 0, deliveries: 0 })
  t.equal(catalog.rebuilt, true)
})

t.test('R264: a push by digest whose bytes are gone stays in the queue', async t => {
  const engine = createEngine({ policies: rules })
  await pushImage(engine.registry, proxied, image)
  engine.disk.blobs.delete(manifest.digest)
  const { catalog, report } = await lose(engine)
  t.match(report, { deliveries: 1, droppedDeliveries: 0, lost: 1 })
  t.equal((await carriedOf(catalog)).length, 1)
})

t.test(
  'what a later catalog knows whole is told anew, once; the rest when its bytes are back',
  async t => {
    const engine = createEngine({ policies: rules })
    const other = makeImage({ seed: 'other', layers: [5] })
    await pushImage(engine.registry, app, image, 'v1')
    await pushImage(engine.registry, app, other, 'v2')
    const gone = other.layers[0]?.digest as Digest
    const bytes = engine.disk.blobs.get(gone) as Uint8Array
    engine.disk.blobs.delete(gone)
    const { registry, facts } = await lose(engine)
    const earlier = async () => {
      const told: readonly ListedFact[] = await factsOf(facts, 'manifest')
      return told.filter(({ isEarlier }) => isEarlier).length
    }
    const compare = () => registry.compareFacts(new AbortController().signal)
    t.equal(await earlier(), 2)
    t.match(await compare(), { mended: 0, lost: 0 })
    t.equal(await earlier(), 1, 'that whose blob is gone')
    engine.disk.blobs.set(gone, bytes)
    t.match(await compare(), { mended: 1, lost: 0 })
    t.equal(await earlier(), 0)
    t.match(await registry.headBlob(app, gone), { digest: gone })
  },
)
