// Goal: what a client deletes is gone at once and stays gone, where the operator lets it; nowhere
// else, and never at an upstream. Method: the engine over in-memory twins.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { parseDelivery } from '../../../../src/registry/deliveries/delivery-payload.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { everyCall } from '../../../kit/around.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'

const app = localOf('team/app')
const proxied = repositoryOf('team/app')
const image = makeImage({ seed: 'delete', layers: [10] })
const { manifest } = image
const page = { limit: 99, after: undefined }
const tagOf = (name: string) => tagged(name).reference
const digestOf = (digest: Digest) => digested(digest).reference
const unknown = { code: 'MANIFEST_UNKNOWN', status: 404 }

t.test('R118: a tag goes alone, and its manifest stays', async t => {
  const { registry, facts } = createEngine()
  for (const tag of ['v1', 'v2']) await pushImage(registry, app, image, tag)
  await registry.deleteManifest(app, tagOf('v1'))
  await t.rejects(registry.pullManifest(app, tagged('v1')), unknown)
  await t.rejects(registry.deleteManifest(app, tagOf('v1')), unknown)
  t.same((await registry.listTags(app, page)).tags, ['v2'])
  t.match(await registry.pullManifest(app, digested(manifest.digest)), { digest: manifest.digest })
  t.match(await factsOf(facts, 'tag'), [{ tag: 'v2' }])
})

t.test(
  'R118: a manifest goes with every tag that points to it, and only from this repository',
  async t => {
    const { registry, facts } = createEngine()
    const other = localOf('team/other')
    const stays = makeImage({ seed: 'stays', layers: [10] })
    await pushImage(registry, other, image, 'v1')
    for (const tag of ['v1', 'v2']) await pushImage(registry, app, image, tag)
    await pushImage(registry, app, stays, 'v3')
    await registry.deleteManifest(app, digestOf(manifest.digest))
    for (const each of [tagged('v1'), tagged('v2'), digested(manifest.digest)])
      await t.rejects(registry.pullManifest(app, each), unknown)
    await t.rejects(registry.deleteManifest(app, digestOf(manifest.digest)), unknown)
    t.same((await registry.listTags(app, page)).tags, ['v3'])
    t.match(await registry.pullManifest(other, tagged('v1')), { digest: manifest.digest })
    const ofApp = (await factsOf(facts, 'tag')).filter(
      fact => fact.repository === repositoryKey(app),
    )
    t.match(ofApp, [{ tag: 'v3' }])
  },
)

t.test('a delete reads no more of the tags than lead to its manifest', async t => {
  let read = 0
  const counted = (catalog: Catalog): Catalog =>
    everyCall(catalog, async (call, args, name) => {
      const found = await call(...args)
      if (name.startsWith('listTags')) read += (found as readonly unknown[]).length
      return found
    })
  const { registry } = createEngine({ catalog: counted })
  const others = makeImage({ seed: 'others', layers: [10] })
  for (let n = 0; n < 50; n += 1) await pushImage(registry, app, others, `v${n}`)
  for (const tag of ['a', 'b']) await pushImage(registry, app, image, tag)
  read = 0
  await registry.deleteManifest(app, digestOf(manifest.digest))
  t.equal(read, 2)
})

t.test('CVE-2026-41888: where deleting is switched off, tags are no exception', async t => {
  const { registry } = createEngine({
    policies: [{ match: 'localhost/**', push: 'store', deletable: false }],
  })
  await pushImage(registry, app, image, 'v1')
  for (const each of [tagOf('v1'), digestOf(manifest.digest), tagOf('never')]) {
    const refused = registry.deleteManifest(app, each)
    await t.rejects(refused, {
      code: 'UNSUPPORTED',
      status: 405,
      message: /storage\.delete\.enabled: true, or delete: true in a rule for it/,
    })
  }
  t.match(await registry.pullManifest(app, tagged('v1')), { digest: manifest.digest })
})

t.test(
  'CVE-2026-35172: a deleted blob is not made visible again by what still lists it',
  async t => {
    const { registry } = createEngine()
    const [layer] = image.layers
    const { digest } = layer ?? image.config
    await pushImage(registry, localOf('team/other'), image, 'v1')
    await pushImage(registry, app, image, 'v1')
    await registry.deleteBlob(app, digest)
    await t.rejects(registry.pullBlob(app, digest), { code: 'BLOB_UNKNOWN' })
    const again = pushDocument(registry, app, { document: manifest, reference: 'v2' })
    await t.rejects(again, { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest } })
    await t.rejects(registry.headBlob(app, digest), { code: 'BLOB_UNKNOWN' })
    await t.rejects(registry.headBlob(app, digest, { mayPush: true }), { code: 'BLOB_UNKNOWN' })
    await pushImage(registry, app, image, 'v2')
    t.match(await registry.headBlob(app, digest), { digest })
  },
)

t.test(
  'R118: a deleted child of an index is gone, and is back once it was pushed again',
  async t => {
    const { registry, facts } = createEngine()
    await pushImage(registry, app, makeIndex([image]), 'v1')
    await registry.deleteManifest(app, digestOf(manifest.digest))
    await t.rejects(registry.pullManifest(app, digested(manifest.digest)), unknown)
    t.match(await factsOf(facts, 'deleted'), [{ digest: manifest.digest }])
    await pushImage(registry, app, image)
    t.match(await registry.pullManifest(app, digested(manifest.digest)), {
      digest: manifest.digest,
    })
    t.same(await factsOf(facts, 'deleted'), [])
  },
)

t.test('R119: a delete under a proxied name is for this edge alone', async t => {
  const { bytes, mediaType, digest } = manifest
  const asked: string[] = []
  const { registry } = createEngine({
    policies: [{ match: 'docker.io/**', push: 'deny', deletable: true }],
    upstream: {
      getManifest: async (_name, { kind }) => {
        asked.push(kind)
        return { bytes, mediaType, declaredDigest: digest, warnings: [] }
      },
    },
  })
  await registry.pullManifest(proxied, tagged('v1'))
  await registry.deleteManifest(proxied, digestOf(digest))
  t.same(asked, ['tag'])
  t.match(await registry.pullManifest(proxied, tagged('v1')), { digest, source: 'miss' })
})

function queueing() {
  return createEngine({ policies: [{ match: 'docker.io/**', push: 'queue', deletable: true }] })
}

async function deliveriesOf(catalog: Catalog) {
  const entries = await catalog.listDeliveriesOf(repositoryKey(proxied))
  return entries.map(({ payload }) => {
    const { digest, tags = [] } = parseDelivery(payload) ?? {}
    return { digest, tags: tags.map(({ tag }) => `${tag}`) }
  })
}

t.test('R118: what is deleted before it was delivered is not delivered any more', async t => {
  const { registry, catalog, facts } = queueing()
  const other = makeImage({ seed: 'other', layers: [10] })
  await pushImage(registry, proxied, image, 'v1')
  await pushDocument(registry, proxied, { document: manifest, tags: ['v2', 'v3'] })
  await pushImage(registry, proxied, other, 'v4')
  const { digest } = manifest
  await registry.deleteManifest(proxied, tagOf('v1'))
  await registry.deleteManifest(proxied, tagOf('v2'))
  const rest = { digest: other.manifest.digest, tags: ['v4'] }
  t.same(await deliveriesOf(catalog), [{ digest, tags: ['v3'] }, rest])
  const told = (await factsOf(facts, 'delivery')).map(fact => parseDelivery(fact.payload)?.tags)
  t.match(told, [[{ tag: 'v3' }], [{ tag: 'v4' }]])
  await registry.deleteManifest(proxied, digestOf(digest))
  t.same(await deliveriesOf(catalog), [rest])
  t.equal((await factsOf(facts, 'delivery')).length, 1)
})

t.test('R118: a deleted tag takes back what earlier pushes were to make of it', async t => {
  const { registry, catalog } = queueing()
  const newer = makeImage({ seed: 'newer', layers: [10] })
  await pushImage(registry, proxied, image, 'v1')
  await pushImage(registry, proxied, newer, 'v1')
  await registry.deleteManifest(proxied, digestOf(newer.manifest.digest))
  t.same(await deliveriesOf(catalog), [])
})

t.test('a delete that the catalog refuses has not happened, also for the facts', async t => {
  let isFull = false
  const refuse = <Args extends unknown[], Result>(write: (...args: Args) => Promise<Result>) => {
    return async (...args: Args) => {
      if (isFull) throw new StoreError('full', 'no space')
      return write(...args)
    }
  }
  const { registry, facts } = createEngine({
    catalog: catalog =>
      Object.assign(catalog, {
        deleteTag: refuse(catalog.deleteTag.bind(catalog)),
        removeMember: refuse(catalog.removeMember.bind(catalog)),
      }),
  })
  await pushImage(registry, app, image, 'v1')
  const before = [await factsOf(facts, 'tag'), await factsOf(facts, 'manifest')]
  isFull = true
  for (const each of [tagOf('v1'), digestOf(manifest.digest)]) {
    await t.rejects(registry.deleteManifest(app, each), { name: 'StoreError' })
    t.same([await factsOf(facts, 'tag'), await factsOf(facts, 'manifest')], before)
    t.same(await factsOf(facts, 'deleted'), [])
    t.match(await registry.pullManifest(app, tagged('v1')), { digest: manifest.digest })
  }
  isFull = false
  await registry.deleteManifest(app, digestOf(manifest.digest))
  await t.rejects(registry.pullManifest(app, tagged('v1')), unknown)
})
