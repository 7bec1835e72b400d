// The part of the catalog contract about why content stays: what a push holds, and what becomes of
// it when it was delivered or deleted. Method: only the port is used.
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag, type Repository } from '../../src/oci/reference.ts'
import type { RecordedManifest } from '../../src/registry/ports/catalog-content.ts'
import type { Hold } from '../../src/registry/ports/holds.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import {
  alpine,
  blobOf,
  deliveryNamed,
  digestNamed,
  latest,
  layerEdge,
  type MakeCatalog,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from './catalog-samples.ts'

const image = manifestNamed('image', [layerEdge('own'), layerEdge('shared')])
const other = manifestNamed('other', [layerEdge('shared')])

async function hold(catalog: Catalog, names: readonly string[], repository = alpine) {
  for (const name of names) await catalog.recordBlob(blobOf(name, { repository, hold: 'awaited' }))
}

/** Queued; returns what takes its entry out as delivered. */
async function queue(catalog: Catalog, manifest: RecordedManifest) {
  const id = catalog.sequence()
  const delivery = deliveryNamed(id, alpine)
  await catalog.recordPush(pushOf('queued', { manifest, delivery, tags: [] }))
  return (isKept = false) => catalog.removeDelivery(id, settledAs(manifest.digest, isKept))
}

const settledAs = (digest: Digest, isKept = false) =>
  ({ repository: alpine, digest, tags: [], atMs: 60, isKept }) as const

async function classes(catalog: Catalog, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(names.map(name => catalog.findContent(digestNamed(name))))
  return names.filter((_, at) => found[at]?.contentClass === 'kept')
}

export function holdsContract(t: Test, makeCatalog: MakeCatalog): void {
  const holdsOf = (catalog: Catalog, name: string, where: Repository = alpine) =>
    catalog.holdsOf(where, digestNamed(name))

  t.test('a push holds its manifest and what is kept below it, in its repository', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, ['own'])
    await catalog.recordBlob(blobOf('shared'))
    await hold(catalog, ['own'], secret)
    await catalog.recordPush(pushOf('image', { manifest: image }))
    const index = manifestNamed('index', [layerEdge('image', { kind: 'manifest' })])
    await queue(catalog, index)
    const both: Hold[] = ['pushed', 'undelivered']
    t.strictSame(await holdsOf(catalog, 'index'), ['undelivered'])
    t.strictSame(await holdsOf(catalog, 'image'), both)
    t.strictSame(await holdsOf(catalog, 'own'), both)
    t.strictSame(await holdsOf(catalog, 'shared'), [], 'it is only cached')
    t.strictSame(await holdsOf(catalog, 'own', secret), [])
    t.strictSame(await holdsOf(catalog, 'unknown'), [])
  })

  t.test('what others hold is kept for them alone, where nothing is left to deliver', async t => {
    const catalog = await makeCatalog(t)
    const isForOthers = (name: string, repository = alpine) =>
      catalog.isKeptForOthers(repository, digestNamed(name))
    const local = parseRepositoryKey('localhost/team/app')
    for (const repository of [alpine, secret, local])
      await hold(catalog, ['own', 'shared'], repository)
    t.equal(await isForOthers('own'), false, 'nobody holds it')
    await catalog.recordPush(pushOf('image', { manifest: image, repository: secret }))
    t.equal(await isForOthers('own'), true)
    t.equal(await isForOthers('own', secret), false)
    t.equal(await isForOthers('own', local), false, 'this edge is its home')
    t.equal(await isForOthers('image'), false, 'no member')
    await catalog.recordPush(pushOf('other', { manifest: other }))
    t.equal(await isForOthers('shared'), false, 'it holds that itself')
    const unknown = deliveryNamed(catalog.sequence(), alpine)
    await catalog.recordDelivery(unknown)
    t.equal(await isForOthers('own'), false, 'an older version queued something')
    await catalog.removeDelivery(unknown.id)
    t.equal(await isForOthers('own'), true)
  })

  t.test('a push keeps and holds what is durable below it, also what is only cached', async t => {
    const catalog = await makeCatalog(t)
    const durable = [digestNamed('image'), digestNamed('own'), digestNamed('shared')]
    const index = manifestNamed('index', [layerEdge('image', { kind: 'manifest' })])
    for (const name of ['own', 'shared']) await catalog.recordBlob(blobOf(name))
    await catalog.recordManifest(pullOf(image))
    const push = pushOf('index', { manifest: index, durable })
    await catalog.recordPush({ ...push, hold: 'nothing' })
    t.strictSame(await classes(catalog, ['index', 'image', 'own', 'shared']), [])
    await catalog.recordPush(push)
    for (const name of ['index', 'image', 'own', 'shared']) {
      t.strictSame(await holdsOf(catalog, name), ['pushed'])
      t.strictSame(await classes(catalog, [name]), [name])
    }
    const elsewhere = { manifest: other, repository: secret, durable: [digestNamed('absent')] }
    await catalog.recordPush(pushOf('other', elsewhere))
    t.strictSame(await classes(catalog, ['absent']), [], 'what is not here is not kept')
  })

  t.test('R894: what is imported is held, and its tag is no word of this edge', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, ['own', 'shared'])
    const order = { edge: 'another', number: 7 }
    await catalog.recordPush({ ...pushOf('image', { manifest: image }), hold: 'imported', order })
    for (const name of ['image', 'own', 'shared'])
      t.strictSame(await holdsOf(catalog, name), ['imported'])
    t.strictSame((await catalog.listColdest({ limit: 9 })).images, [])
    t.match(await catalog.findTag(alpine, latest), { digest: image.digest, local: false, order })
    await catalog.recordTag(alpine, latest, other.digest, { checkedAtMs: 9 })
    const moved = await catalog.findTag(alpine, latest)
    t.match(moved, { digest: other.digest })
    t.equal(moved?.order, undefined)
    t.strictSame(await holdsOf(catalog, 'image'), ['imported'])
    await catalog.removeMember(alpine, image.digest)
    t.strictSame(await classes(catalog, ['image', 'own', 'shared']), [])
  })

  t.test('what was delivered becomes cached, and may leave', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, ['own', 'shared'])
    const deliver = await queue(catalog, image)
    t.strictSame((await catalog.listColdest({ limit: 9 })).images, [])
    await deliver()
    t.strictSame(await classes(catalog, ['image', 'own', 'shared']), [])
    t.match((await catalog.listColdest({ limit: 9 })).images, [{ digest: image.digest }])
    t.equal((await catalog.totals()).keptBlocks, 0)
  })

  t.test('what is still to be delivered otherwise stays, until that is', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, ['own', 'shared'])
    const first = await queue(catalog, image)
    const second = await queue(catalog, image)
    const third = await queue(catalog, other)
    await second()
    t.strictSame(await classes(catalog, ['image', 'own', 'shared']), ['image', 'own', 'shared'])
    await first()
    t.strictSame(await classes(catalog, ['image', 'own', 'shared']), ['shared'])
    await third()
    t.strictSame(await classes(catalog, ['other', 'shared']), [])
  })

  t.test('what an older version queued keeps all of its repository until it is gone', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, ['own', 'shared'])
    const deliver = await queue(catalog, image)
    const unknown = deliveryNamed(catalog.sequence(), alpine)
    await catalog.recordDelivery(unknown)
    await deliver()
    t.strictSame(await classes(catalog, ['image', 'own']), ['image', 'own'])
    await catalog.removeDelivery(unknown.id, settledAs(other.digest))
    t.strictSame(await classes(catalog, ['image', 'own']), [])
  })

  t.test('what is kept for good elsewhere, or from now on here, stays kept', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, ['own', 'shared'])
    await hold(catalog, ['shared'], secret)
    await catalog.recordPush(pushOf('other', { manifest: other, repository: secret }))
    const deliver = await queue(catalog, image)
    await deliver()
    t.strictSame(await classes(catalog, ['image', 'own', 'shared']), ['shared'])
    await hold(catalog, ['own'])
    const again = await queue(catalog, image)
    await again(true)
    t.strictSame(await holdsOf(catalog, 'image'), ['pushed'])
    t.strictSame(await classes(catalog, ['image', 'own']), ['image', 'own'])
  })

  t.test('what is promised to another push stays kept when the first was delivered', async t => {
    const catalog = await makeCatalog(t)
    const pending = { repository: alpine, digest: digestNamed('own'), acknowledgedAtMs: 5 }
    await hold(catalog, ['own', 'shared'])
    const deliver = await queue(catalog, image)
    await catalog.recordBlob(blobOf('own', { hold: 'awaited', acknowledgedAtMs: 5 }))
    await deliver()
    t.strictSame(await classes(catalog, ['own', 'shared']), ['own'])
    await catalog.expirePendingBlob(pending)
    t.strictSame(await classes(catalog, ['own']), [])
  })

  t.test(
    'what was deleted holds nothing; what is not delivered for that is nowhere else',
    async t => {
      const catalog = await makeCatalog(t)
      await hold(catalog, ['own', 'shared'])
      await catalog.recordManifest(pullOf(other))
      await catalog.recordPush(pushOf('image', { manifest: image }))
      t.strictSame(await classes(catalog, ['own', 'shared']), ['own', 'shared'])
      await catalog.removeMember(alpine, image.digest)
      t.strictSame(await holdsOf(catalog, 'shared'), [])
      t.strictSame(await classes(catalog, ['image', 'own', 'shared']), [])
      const id = catalog.sequence()
      const delivery = deliveryNamed(id, alpine)
      await hold(catalog, ['shared'])
      await catalog.recordPush(pushOf('image', { manifest: image, delivery }))
      await catalog.deleteTag(alpine, parseTag('latest'), { dropDeliveries: [id] })
      t.strictSame(await classes(catalog, ['image', 'shared']), ['image', 'shared'])
    },
  )
}
