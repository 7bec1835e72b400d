// What every catalog must do, in whatever it keeps its rows (src/registry/ports/catalog.ts).
// Method: only the port is used; each test gets an empty catalog; times are made up.
import type { Test } from 'tap'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  latest,
  layerEdge,
  type MakeCatalog,
  MANIFEST_TYPE,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from './catalog-samples.ts'
import { listingContract } from './catalog-listing.ts'
import { membershipContract } from './catalog-membership.ts'
import { deletesContract } from './catalog-deletes.ts'
import { namesContract } from './catalog-names.ts'
import { outboxContract } from './catalog-outbox.ts'
import { usesContract } from './catalog-uses.ts'
import { jobNotesContract } from './catalog-job-notes.ts'
import { verifiedContract } from './catalog-verified.ts'
import { pinsContract } from './catalog-pins.ts'
import { imagesContract } from './catalog-images.ts'
import { pushesContract } from './catalog-pushes.ts'
import { followersContract } from './catalog-followers.ts'
import { holdsContract } from './catalog-holds.ts'
import { holdingsContract } from './catalog-holdings.ts'
import { spaceContract } from './catalog-space.ts'
import { isMemberOf } from '../kit/judges/membership.ts'

export function catalogContract(t: Test, makeCatalog: MakeCatalog): void {
  membershipContract(t, makeCatalog)
  listingContract(t, makeCatalog)
  namesContract(t, makeCatalog)
  pushesContract(t, makeCatalog)
  deletesContract(t, makeCatalog)
  outboxContract(t, makeCatalog)
  spaceContract(t, makeCatalog)
  usesContract(t, makeCatalog)
  pinsContract(t, makeCatalog)
  jobNotesContract(t, makeCatalog)
  verifiedContract(t, makeCatalog)
  holdingsContract(t, makeCatalog)
  holdsContract(t, makeCatalog)
  followersContract(t, makeCatalog)
  imagesContract(t, makeCatalog)

  t.test('a recorded manifest is found with all its edges, in order', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('index', [
      layerEdge('amd64', { kind: 'manifest', platform: 'linux/amd64' }),
      layerEdge('foreign', { distributable: false }),
      layerEdge('twice'),
      layerEdge('twice'),
      layerEdge('config', { kind: 'config', sizeBytes: 0 }),
    ])
    await catalog.recordManifest(pullOf(manifest, { atMs: 5 }))
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.strictSame(await catalog.findContent(manifest.digest), {
      digest: manifest.digest,
      sizeBytes: 500,
      mediaType: MANIFEST_TYPE,
      contentClass: 'cached',
      createdAtMs: 5,
      lastUsedAtMs: 5,
      verifiedAtMs: 5,
      brokenAtMs: undefined,
    })
    t.equal(await catalog.findContent(digestNamed('twice')), undefined, 'a child is only named')
  })

  t.test('recording a manifest again changes nothing', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('a'), layerEdge('b')])
    const record = pullOf(manifest)
    await catalog.recordManifest(record)
    const before = [await catalog.findContent(manifest.digest), await catalog.totals()]
    await catalog.recordManifest(record)
    t.strictSame([await catalog.findContent(manifest.digest), await catalog.totals()], before)
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
  })

  t.test(
    'kept content never becomes cached; its use and its beginning stay the true ones',
    async t => {
      const catalog = await makeCatalog(t)
      await catalog.recordBlob(blobOf('b', { hold: 'nothing', atMs: 10 }))
      await catalog.recordBlob(blobOf('b', { hold: 'awaited', atMs: 20 }))
      await catalog.recordBlob(blobOf('b', { hold: 'nothing', atMs: 15 }))
      t.match(await catalog.findContent(digestNamed('b')), {
        contentClass: 'kept',
        createdAtMs: 10,
        lastUsedAtMs: 20,
        mediaType: undefined,
      })
    },
  )

  t.test('forgotten content leaves its edges and memberships, and comes back whole', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    await catalog.recordManifest(pullOf(manifest, { tag: latest }))
    await catalog.forgetContent(manifest.digest)
    await catalog.forgetContent(digestNamed('never here'))
    t.equal(await catalog.findContent(manifest.digest), undefined)
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
    t.equal(await isMemberOf(catalog, alpine, manifest.digest), true)
    t.equal(await isMemberOf(catalog, alpine, digestNamed('layer')), true)
    t.equal((await catalog.findTag(alpine, latest))?.digest, manifest.digest)
    await catalog.recordManifest(pullOf(manifest, { atMs: 9 }))
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.match(await catalog.findContent(manifest.digest), { createdAtMs: 9, contentClass: 'cached' })
  })

  t.test(
    'what was ever named is recorded, also once it is forgotten and nobody holds it',
    async t => {
      const catalog = await makeCatalog(t)
      const manifest = manifestNamed('m', [layerEdge('layer')])
      const named = ['m', 'layer', 'confirmed', 'tagged', 'before'].map(digestNamed)
      const recorded = () => Promise.all(named.map(digest => catalog.isRecorded(digest)))
      t.strictSame(await recorded(), [false, false, false, false, false])
      await catalog.recordPush(pushOf('m', { manifest }))
      await catalog.recordMember(alpine, digestNamed('confirmed'), 1)
      const previous = { digest: digestNamed('before'), checkedAtMs: 1 }
      await catalog.recordTag(alpine, latest, digestNamed('tagged'), { checkedAtMs: 2, previous })
      await catalog.removeMember(alpine, digestNamed('m'))
      await catalog.forgetContent(digestNamed('m'))
      await catalog.forgetContent(digestNamed('unknown'))
      t.equal(await catalog.findContent(digestNamed('m')), undefined)
      t.strictSame(await recorded(), [true, true, true, true, true])
      t.equal(await catalog.isRecorded(digestNamed('unknown')), false)
    },
  )

  t.test('R790: a manifest is not forgotten as long as what it needs is here', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer'), layerEdge('other')])
    await catalog.recordManifest(pullOf(manifest, { tag: latest }))
    await catalog.recordBlob(blobOf('layer', { hold: 'nothing' }))
    await catalog.forgetContent(manifest.digest)
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.strictSame(await catalog.listLoose({ limit: 9 }), [])
    await catalog.forgetContent(digestNamed('layer'))
    await catalog.forgetContent(manifest.digest)
    t.equal(await catalog.findContent(manifest.digest), undefined)
    t.equal((await catalog.totals()).contentBytes, 0)
  })

  t.test('kept content is not forgotten as long as some repository holds it', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [])
    await catalog.recordPush(pushOf('m'))
    await catalog.forgetContent(manifest.digest)
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.match(await catalog.findContent(manifest.digest), { contentClass: 'kept' })
    await catalog.removeMember(alpine, manifest.digest)
    await catalog.forgetContent(manifest.digest)
    t.equal(await catalog.findContent(manifest.digest), undefined)
    t.equal((await catalog.totals()).manifests, 0)
  })

  t.test('content is listed by key, page by page, both algorithms', async t => {
    const catalog = await makeCatalog(t)
    const digests = ['a', 'b', 'c', 'd'].flatMap(name => [
      digestNamed(name),
      digestOf(Buffer.from(name), 'sha512'),
    ])
    for (const digest of digests) await catalog.recordBlob(blobOf('any', { digest }))
    const seen: Digest[] = []
    let page = await catalog.listContent({ limit: 3 })
    for (let after = page.at(-1); after !== undefined; after = page.at(-1)) {
      seen.push(...page.map(({ digest }) => digest))
      page = await catalog.listContent({ after: after.digest, limit: 3 })
    }
    t.strictSame(seen, digests.sort())
  })

  t.test('totals count what is here', async t => {
    const catalog = await makeCatalog(t)
    const blocks = { contentBlocks: 0, keptBlocks: 0, leavingBlocks: 0 }
    const nothing = { repositories: 0, tags: 0, manifests: 0, blobs: 0, contentBytes: 0 }
    t.strictSame(await catalog.totals(), { ...nothing, ...blocks })
    const manifest = manifestNamed('m', [layerEdge('layer')])
    await catalog.recordManifest(pullOf(manifest, { tag: latest }))
    for (const repository of [alpine, secret])
      await catalog.recordBlob(blobOf('layer', { repository, sizeBytes: 5000 }))
    t.strictSame(await catalog.totals(), {
      ...blocks,
      contentBlocks: 3,
      repositories: 1,
      tags: 1,
      manifests: 1,
      blobs: 1,
      contentBytes: 5500,
    })
  })

  t.test('after close every call rejects, and a second close does not', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('b')
    await catalog.close()
    await catalog.close()
    await t.rejects(catalog.findContent(digest), { name: 'StoreError' })
    await t.rejects(isMemberOf(catalog, alpine, digest), { name: 'StoreError' })
    await t.rejects(catalog.recordMember(alpine, digest, 1), { name: 'StoreError' })
    await t.rejects(catalog.forgetContent(digest), { name: 'StoreError' })
    await t.rejects(catalog.noteUses([]), { name: 'StoreError' })
    await t.rejects(catalog.removeDelivery(1), { name: 'StoreError' })
    await t.rejects(catalog.outboxTotals(), { name: 'StoreError' })
    await t.rejects(catalog.raiseSequence(1), { name: 'StoreError' })
    t.throws(() => catalog.sequence(), { name: 'StoreError' })
  })
}
