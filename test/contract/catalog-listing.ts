// The part of the catalog contract about who may say what a manifest lists (R179): an upstream of
// its own repository, and no client. Method: only the port is used; the same manifests are pushed
// and pulled in every order, in one repository and in two.
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/reference.ts'
import type { RecordedManifest } from '../../src/registry/ports/catalog-content.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  layerEdge,
  type MakeCatalog,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from './catalog-samples.ts'
import { isMemberOf } from '../kit/judges/membership.ts'

const layer = digestNamed('layer')
const image = manifestNamed('image', [layerEdge('layer')])
const index = manifestNamed('index', [layerEdge('image', { kind: 'manifest' })])

function push(
  catalog: Catalog,
  repository: Repository,
  manifest: RecordedManifest,
  confirmed: readonly Digest[] = [],
): Promise<void> {
  return catalog.recordPush(pushOf('any', { repository, manifest, tags: [], confirmed }))
}

function pull(catalog: Catalog, repository: Repository, manifest: RecordedManifest): Promise<void> {
  return catalog.recordManifest(pullOf(manifest, { repository }))
}

function hold(catalog: Catalog, repository: Repository, digest: Digest): Promise<void> {
  return catalog.recordBlob(blobOf('any', { repository, digest, hold: 'awaited' }))
}

/** Which of `digests` are members. */
async function membersOf(catalog: Catalog, repository: Repository): Promise<string[]> {
  const known = { index: index.digest, image: image.digest, layer }
  const found: string[] = []
  for (const [name, digest] of Object.entries(known))
    if (await isMemberOf(catalog, repository, digest)) found.push(name)
  return found
}

export function listingContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('R179: a push makes a member of its manifest, and of nothing that it lists', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, secret, layer)
    await push(catalog, alpine, image)
    t.strictSame(await membersOf(catalog, alpine), ['image'])
    t.equal(await catalog.sizeOf(alpine, layer), undefined)
    t.strictSame(await catalog.findManifest(alpine, image.digest), image)
    await push(catalog, alpine, image)
    t.strictSame(await membersOf(catalog, alpine), ['image'], 'nor when it is pushed again')
  })

  t.test('R179: what was confirmed is a member, and nothing below that', async t => {
    const catalog = await makeCatalog(t)
    await pull(catalog, secret, image)
    await push(catalog, alpine, index, [image.digest])
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image'])
    await pull(catalog, alpine, image)
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image', 'layer'])
  })

  t.test('R253: what a push says of sizes is not believed', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, alpine, digestNamed('held'))
    const edges = [layerEdge('layer'), layerEdge('held')]
    await push(catalog, alpine, manifestNamed('m', edges), [layer])
    t.equal(await catalog.sizeOf(alpine, layer), undefined)
    t.equal(await catalog.sizeOf(alpine, digestNamed('held')), 7)
  })

  t.test(
    'R253: sizes that manifests do not agree on are unknown until it is delivered',
    async t => {
      const catalog = await makeCatalog(t)
      const listing = (name: string, sizeBytes: number) =>
        manifestNamed(name, [layerEdge('layer', { sizeBytes })])
      await pull(catalog, alpine, listing('good', 7))
      t.equal(await catalog.sizeOf(alpine, layer), 7)
      await pull(catalog, secret, listing('elsewhere', 8))
      t.equal(
        await catalog.sizeOf(alpine, layer),
        7,
        'what another repository says is nothing here',
      )
      await pull(catalog, alpine, listing('bad', 9))
      t.equal(await catalog.sizeOf(alpine, layer), undefined)
      await pull(catalog, alpine, listing('good too', 7))
      t.equal(await catalog.sizeOf(alpine, layer), undefined, 'no majority')
      await catalog.removeMember(alpine, digestNamed('bad'))
      t.equal(await catalog.sizeOf(alpine, layer), 7)
      await pull(catalog, alpine, listing('bad', 9))
      await hold(catalog, alpine, layer)
      t.equal(await catalog.sizeOf(alpine, layer), 7, 'delivered')
      await pull(catalog, alpine, listing('worse', 10))
      t.equal(await catalog.sizeOf(alpine, layer), 7)
    },
  )

  t.test('R179: no order of pushes leads down from an index', async t => {
    for (const order of [
      [index, image],
      [image, index],
    ]) {
      const catalog = await makeCatalog(t)
      await hold(catalog, secret, layer)
      for (const manifest of order) await push(catalog, alpine, manifest)
      t.strictSame(await membersOf(catalog, alpine), ['index', 'image'])
      t.strictSame(await membersOf(catalog, secret), ['layer'])
    }
  })

  t.test('R179: a pull in one repository gives nothing to one that was pushed to', async t => {
    const orders = [
      [push, pull],
      [pull, push],
    ]
    for (const [first, second] of orders) {
      const catalog = await makeCatalog(t)
      const into = (record: typeof first) => (record === push ? alpine : secret)
      for (const manifest of [image, index])
        for (const record of [first, second]) await record?.(catalog, into(record), manifest)
      t.strictSame(await membersOf(catalog, alpine), ['index', 'image'])
      t.strictSame(await membersOf(catalog, secret), ['index', 'image', 'layer'])
    }
  })

  t.test('R179: a manifest that was brought as a blob lists nothing', async t => {
    const catalog = await makeCatalog(t)
    await pull(catalog, secret, image)
    await hold(catalog, alpine, image.digest)
    t.strictSame(await membersOf(catalog, alpine), ['image'])
    const changed = manifestNamed('image', [layerEdge('layer'), layerEdge('another')])
    await pull(catalog, secret, changed)
    t.equal(await isMemberOf(catalog, alpine, digestNamed('another')), false)
  })

  t.test('what a client said a manifest lists leads nowhere until an upstream says it', async t => {
    const catalog = await makeCatalog(t)
    await pull(catalog, alpine, index)
    await push(catalog, secret, image)
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image'], 'it was listed before')
    const other = manifestNamed('other index', [layerEdge('image', { kind: 'manifest' })])
    await pull(catalog, alpine, other)
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image'], 'it is listed after')
    await pull(catalog, secret, image)
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image', 'layer'])
    t.strictSame(await membersOf(catalog, secret), ['image', 'layer'])
  })

  t.test('what was pushed lists as ever once the repository’s upstream gives it', async t => {
    const catalog = await makeCatalog(t)
    await push(catalog, alpine, image)
    await pull(catalog, alpine, image)
    t.strictSame(await membersOf(catalog, alpine), ['image', 'layer'])
    await catalog.removeMember(alpine, layer)
    await pull(catalog, alpine, image)
    await push(catalog, alpine, image)
    t.strictSame(await membersOf(catalog, alpine), ['image'], 'said again, it adds nothing')
  })

  t.test('R118, R179: what was deleted does not come back with a pushed parent', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, alpine, layer)
    await push(catalog, alpine, image)
    await catalog.removeMember(alpine, layer)
    await push(catalog, alpine, index)
    await push(catalog, alpine, manifestNamed('another image', [layerEdge('layer')]))
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image'])
    await hold(catalog, alpine, layer)
    t.strictSame(await membersOf(catalog, alpine), ['index', 'image', 'layer'])
  })
}
