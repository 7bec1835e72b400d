// What every catalog must know of when content was last verified
// (src/registry/ports/catalog-verified.ts). Method: only the port is used; each test gets an empty
// catalog; times are made up.
import type { Test } from 'tap'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import type {
  UnverifiedPage,
  UnverifiedPlace,
  Verified,
} from '../../src/registry/ports/catalog-verified.ts'
import {
  blobOf,
  digestNamed,
  type MakeCatalog,
  manifestNamed,
  pullOf,
  pushOf,
} from './catalog-samples.ts'

const EVER = Number.MAX_SAFE_INTEGER
const NAMES = ['a', 'b', 'c', 'd'] as const

/** By the names of digestNamed. */
async function listed(catalog: Catalog, page: Partial<UnverifiedPage> = {}): Promise<string[]> {
  const rows = await catalog.listUnverified({ beforeMs: EVER, limit: 10, ...page })
  return rows.map(({ digest }) => NAMES.find(name => digestNamed(name) === digest) ?? digest)
}

export function verifiedContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('R863: content is listed by when it was last verified', async t => {
    const catalog = await makeCatalog(t)
    t.equal(await catalog.unverifiedSince(), undefined)
    await catalog.recordBlob(blobOf('a', { atMs: 30, isVerified: true }))
    await catalog.recordBlob(blobOf('b', { atMs: 10, isVerified: true }))
    await catalog.recordBlob(blobOf('c', { atMs: 20, isVerified: true }))
    t.same(await listed(catalog), ['b', 'c', 'a'])
    t.equal(await catalog.unverifiedSince(), 10)
    t.same(await listed(catalog, { beforeMs: 30 }), ['b', 'c'])
    t.same(await listed(catalog, { fromMs: 20 }), ['c', 'a'])
    const [first] = await catalog.listUnverified({ beforeMs: EVER, limit: 1 })
    if (first === undefined) throw new Error('there are three')
    t.same(await listed(catalog, { after: first }), ['c', 'a'])
    await catalog.noteVerified({
      digests: [digestNamed('b'), digestNamed('d')],
      broken: [],
      atMs: 40,
    })
    t.same(await listed(catalog), ['c', 'a', 'b'])
    t.same(await listed(catalog, { after: first }), ['c', 'a', 'b'], 'where it was listed then')
    await catalog.forgetContent(digestNamed('c'))
    t.same(await listed(catalog), ['a', 'b'])
  })

  t.test('R874: what is broken is listed apart, until it comes anew or is found right', async t => {
    const catalog = await makeCatalog(t)
    const note = (more: Partial<Verified> & Pick<Verified, 'atMs'>) =>
      catalog.noteVerified({ digests: [], broken: [], ...more })
    const broken = (page: Partial<UnverifiedPage> = {}) =>
      listed(catalog, { broken: true, ...page })
    for (const [at, name] of NAMES.entries())
      await catalog.recordBlob(blobOf(name, { atMs: 10 + at, isVerified: true }))
    t.equal(await catalog.countBroken(), 0)
    await note({ broken: [digestNamed('b')], atMs: 30 })
    await note({ broken: [digestNamed('a'), digestNamed('e')], atMs: 20 })
    t.equal(await catalog.countBroken(), 2)
    t.same(await broken(), ['a', 'b'], 'that first which was looked at longest ago')
    t.same(await broken({ beforeMs: 30 }), ['a'])
    t.same(await broken({ fromMs: 21 }), ['b'])
    const [first] = await catalog.listUnverified({ broken: true, beforeMs: EVER, limit: 1 })
    t.match(first, { verifiedAtMs: 0, brokenAtMs: 20 })
    t.same(await broken({ after: first as UnverifiedPlace }), ['b'])
    t.same(await listed(catalog), ['c', 'd'])
    t.equal(await catalog.unverifiedSince(), 12)
    await catalog.recordBlob(blobOf('a', { atMs: 35 }))
    t.same(await broken(), ['a', 'b'], 'its bytes are not those')
    await catalog.recordBlob(blobOf('a', { atMs: 40, isVerified: true }))
    await note({ digests: [digestNamed('b')], atMs: 50 })
    t.same(await listed(catalog), ['c', 'd', 'a', 'b'])
    await note({ broken: [digestNamed('c'), digestNamed('d')], atMs: 60 })
    await catalog.forgetContent(digestNamed('c'))
    t.equal(await catalog.countBroken(), 1)
  })

  t.test(
    'R874: a manifest that is pushed anew is broken no more, and verified by nobody',
    async t => {
      const catalog = await makeCatalog(t)
      const { digest } = manifestNamed('pushed', [])
      await catalog.recordPush(pushOf('pushed', { atMs: 5 }))
      await catalog.noteVerified({ digests: [], broken: [digest], atMs: 6 })
      await catalog.recordPush(pushOf('pushed', { atMs: 7 }))
      t.match(await catalog.findContent(digest), { verifiedAtMs: 0, brokenAtMs: undefined })
      await catalog.noteVerified({ digests: [], broken: [digest], atMs: 8 })
      await catalog.recordManifest(pullOf(manifestNamed('pushed', []), { atMs: 9 }))
      t.match(await catalog.findContent(digest), { verifiedAtMs: 9, brokenAtMs: undefined })
    },
  )

  t.test('R863: what is only found here is verified by nobody', async t => {
    const catalog = await makeCatalog(t)
    const verifiedAtMs = async (name: string) =>
      (await catalog.findContent(digestNamed(name)))?.verifiedAtMs
    await catalog.recordBlob(blobOf('a', { atMs: 30 }))
    await catalog.adopt([{ digest: digestNamed('b'), sizeBytes: 1 }], 30)
    t.equal(await verifiedAtMs('a'), 0)
    t.equal(await verifiedAtMs('b'), 0)
    await catalog.recordBlob(blobOf('a', { atMs: 40, isVerified: true }))
    t.equal(await verifiedAtMs('a'), 40, 'it came anew')
    await catalog.recordBlob(blobOf('a', { atMs: 50 }))
    t.equal(await verifiedAtMs('a'), 40)
    await catalog.forgetContent(digestNamed('a'))
    await catalog.recordBlob(blobOf('a', { atMs: 60 }))
    t.equal(await verifiedAtMs('a'), 0, 'another file than that')
  })

  t.test('R863: a manifest is verified as it comes, by a push where it was not here', async t => {
    const catalog = await makeCatalog(t)
    const [given, pushed] = [manifestNamed('given', []), manifestNamed('pushed', [])]
    const verifiedAtMs = async ({ digest }: typeof given) =>
      (await catalog.findContent(digest))?.verifiedAtMs
    await catalog.recordManifest(pullOf(given, { atMs: 5 }))
    await catalog.recordManifest(pullOf(given, { atMs: 7 }))
    t.equal(await verifiedAtMs(given), 7)
    for (const atMs of [5, 7]) await catalog.recordPush(pushOf('pushed', { atMs }))
    t.equal(await verifiedAtMs(pushed), 5, 'its bytes need not have been written anew')
  })
}
