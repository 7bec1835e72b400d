// The part of the catalog contract about images that are used, and leave when there is no room
// (docs/adr/0030-eviction.md). Method: only the port is used; times are made up.
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag, repositoryKey } from '../../src/oci/reference.ts'
import type { ColdPlace, Footprint } from '../../src/registry/ports/catalog-images.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
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
import { isMemberOf } from '../kit/judges/membership.ts'

const HOUR_MS = 3_600_000
const stable = parseTag('stable')
const local = parseRepositoryKey('localhost/team/app')
const NAMES = ['index', 'amd64', 'arm64', 'image', 'other', 'base', 'own', 'next']

function named(digests: readonly string[]): string[] {
  return digests.map(digest => NAMES.find(name => digestNamed(name) === digest) ?? digest)
}

const coldest = async (catalog: Catalog) =>
  named((await catalog.listColdest({ limit: 9 })).images.map(({ digest }) => digest))
const leaving = async (catalog: Catalog) =>
  named((await catalog.listLeaving({ limit: 9 })).map(({ digest }) => digest)).sort()

const evicted = (name: string, repository = alpine) =>
  ({ repository, digest: digestNamed(name), reason: 'evicted', atMs: 99 }) as const

/** Content that leaves, which has a block each; of a repository as many blocks. */
const freed = (digests: readonly Digest[], blocks = digests.length, repository = alpine) => {
  const own = { repository: repositoryKey(repository), bytes: blocks * 4096 }
  return { digests, bytes: digests.length * 4096, repositories: [own] }
}
/** In one order. */
const freedBy = ({ byImage }: Footprint) =>
  byImage.map(each => ({ ...each, digests: each.digests.toSorted() }))

/** Manifests of two platforms with an index, that share a layer. */
async function pullIndex(catalog: Catalog): Promise<void> {
  const platforms = ['amd64', 'arm64']
  const edges = platforms.map(name => layerEdge(name, { kind: 'manifest' }))
  await catalog.recordManifest(pullOf(manifestNamed('index', edges), { tag: latest, atMs: 1 }))
  for (const [at, name] of platforms.entries()) {
    const layers = [layerEdge('base'), layerEdge(`layer of ${name}`)]
    await catalog.recordManifest(pullOf(manifestNamed(name, layers), { atMs: 2 + at }))
    await catalog.recordBlob(blobOf(`layer of ${name}`))
  }
  await catalog.recordBlob(blobOf('base'))
}

export function imagesContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('a use warms an image once an hour, and counts as a pull each time', async t => {
    const catalog = await makeCatalog(t)
    const { digest } = manifestNamed('image')
    await catalog.recordManifest(pullOf(manifestNamed('image'), { tag: latest, atMs: 1000 }))
    const usage = () => catalog.usageOf(alpine, digest)
    t.strictSame(await usage(), { usedAtMs: 1000, pulls: 0, warmthMs: 1000 })
    const use = { repository: alpine, digest, tag: latest, count: 1 }
    await catalog.noteUses([{ ...use, atMs: 2000, count: 3 }])
    t.strictSame(await usage(), { usedAtMs: 2000, pulls: 3, warmthMs: 2000 }, 'within the hour')
    await catalog.noteUses([{ ...use, atMs: 2000 + 24 * HOUR_MS }])
    // As if it had been used once and a half: a day earlier counts half.
    const warmthMs = Math.round(2000 + 24 * HOUR_MS * (1 + Math.log2(1.5)))
    t.strictSame(await usage(), { usedAtMs: 2000 + 24 * HOUR_MS, pulls: 4, warmthMs })
    t.strictSame(await catalog.listTagUsage(alpine, { limit: 9 }), [
      {
        tag: latest,
        digest,
        pushedAtMs: undefined,
        pulledAtMs: 2000 + 24 * HOUR_MS,
        pulls: 4,
      },
    ])
    t.strictSame(
      [await catalog.tagUsageOf(alpine, latest)],
      await catalog.listTagUsage(alpine, { limit: 9 }),
    )
    t.equal(await catalog.tagUsageOf(secret, latest), undefined)
    t.equal(await catalog.usageOf(secret, digest), undefined)
    await catalog.noteUses([{ ...use, repository: secret, atMs: 9 }])
    t.equal(await catalog.usageOf(secret, digest), undefined)
  })

  t.test('tags are told that lead to an image, themselves or by an index there', async t => {
    const catalog = await makeCatalog(t)
    const tag = parseTag
    const edges = ['amd64', 'arm64'].map(name => layerEdge(name, { kind: 'manifest' }))
    const index = manifestNamed('index', edges)
    for (const name of ['v2', 'v1', 'v3'])
      await catalog.recordManifest(pullOf(index, { tag: tag(name) }))
    await catalog.recordManifest(pullOf(manifestNamed('amd64'), { tag: tag('amd') }))
    await catalog.recordManifest(pullOf(manifestNamed('arm64')))
    await catalog.recordManifest(pullOf(index, { repository: secret, tag: tag('theirs') }))
    const tagsOf = (name: string, limit = 9, repository = alpine) =>
      catalog.listTagsOf({ repository, digest: digestNamed(name) }, limit)
    t.strictSame(await tagsOf('amd64'), ['amd', 'v1', 'v2', 'v3'])
    t.strictSame(await tagsOf('arm64'), ['v1', 'v2', 'v3'])
    t.strictSame(await tagsOf('index', 2), ['v1', 'v2'])
    t.strictSame(await tagsOf('amd64', 9, secret), ['theirs'], 'where only its index is')
    t.strictSame(await tagsOf('unknown'), [])
  })

  t.test('so they are where very many indexes of another repository list it', async t => {
    const catalog = await makeCatalog(t)
    const edges = [layerEdge('image', { kind: 'manifest' })]
    await catalog.recordManifest(pullOf(manifestNamed('image')))
    await catalog.recordManifest(pullOf(manifestNamed('index', edges), { tag: parseTag('v1') }))
    const others = Array.from({ length: 300 }, (_, at) => manifestNamed(`other ${at}`, edges))
    await Promise.all(
      others.map(other => catalog.recordManifest(pullOf(other, { repository: secret }))),
    )
    const image = { repository: alpine, digest: digestNamed('image') }
    t.strictSame(await catalog.listTagsOf(image, 9), ['v1'])
  })

  t.test('what a clock that was ahead has made warm is as any other once it is right', async t => {
    const catalog = await makeCatalog(t)
    const [atMs, yearMs] = [1000, 365 * 24 * HOUR_MS]
    for (const name of ['image', 'other'])
      await catalog.recordManifest(pullOf(manifestNamed(name), { atMs }))
    const use = (name: string, at: number) =>
      catalog.noteUses([{ repository: alpine, digest: digestNamed(name), count: 1, atMs: at }])
    await use('image', atMs + yearMs)
    await use('other', atMs + 2 * HOUR_MS)
    t.match(await catalog.usageOf(alpine, digestNamed('image')), {
      usedAtMs: atMs + 2 * HOUR_MS,
      warmthMs: atMs + 2 * HOUR_MS,
      pulls: 1,
    })
    await use('other', atMs + 4 * HOUR_MS)
    t.strictSame(await coldest(catalog), ['image', 'other'])
  })

  t.test('a clock that was wrong keeps no image for ever', async t => {
    const catalog = await makeCatalog(t)
    const { digest } = manifestNamed('image')
    const year = 365 * 24 * HOUR_MS
    await catalog.recordManifest(pullOf(manifestNamed('image'), { atMs: year }))
    await catalog.noteUses([{ repository: alpine, digest, count: 1, atMs: 5 }])
    t.match(await catalog.usageOf(alpine, digest), { usedAtMs: 5, warmthMs: 5 })
  })

  t.test('a use of an index is one of its manifests there, but no pull of them', async t => {
    const catalog = await makeCatalog(t)
    await pullIndex(catalog)
    await catalog.noteUses([
      { repository: alpine, digest: digestNamed('index'), count: 1, atMs: 50 },
    ])
    t.match(await catalog.usageOf(alpine, digestNamed('index')), { usedAtMs: 50, pulls: 1 })
    t.match(await catalog.usageOf(alpine, digestNamed('arm64')), { usedAtMs: 50, pulls: 0 })
  })

  t.test('an index that is used has its manifests leave as if they were', async t => {
    const catalog = await makeCatalog(t)
    await pullIndex(catalog)
    await catalog.recordManifest(pullOf(manifestNamed('other'), { atMs: 9 }))
    t.strictSame(await coldest(catalog), ['amd64', 'arm64', 'other'])
    const use = (name: string, atMs: number) =>
      catalog.noteUses([{ repository: alpine, digest: digestNamed(name), count: 1, atMs }])
    await use('index', 50)
    await use('arm64', 60)
    t.strictSame(await coldest(catalog), ['other', 'amd64', 'arm64'])
    const { images } = await catalog.listColdest({ limit: 9 })
    t.match(images[1], { digest: digestNamed('amd64'), usedAtMs: 50, warmthMs: 50, pulls: 0 })
    const found: string[] = []
    for (let after: ColdPlace | undefined, at = 0; at < 3; at += 1) {
      const [image] = (await catalog.listColdest({ limit: 1, after })).images
      if (image !== undefined) found.push(image.digest)
      after = image
    }
    t.strictSame(named(found), ['other', 'amd64', 'arm64'], 'page by page, too')
  })

  t.test('an index that is held keeps nothing warm, but tells that it was used', async t => {
    const catalog = await makeCatalog(t)
    await pullIndex(catalog)
    const index = { digest: digestNamed('index'), mediaType: MANIFEST_TYPE, sizeBytes: 500 }
    const edges = ['amd64', 'arm64'].map(name => layerEdge(name, { kind: 'manifest' }))
    await catalog.recordPush(pushOf('index', { manifest: { ...index, edges } }))
    await catalog.recordManifest(pullOf(manifestNamed('other'), { atMs: 9 }))
    await catalog.noteUses([{ repository: alpine, digest: index.digest, count: 1, atMs: 50 }])
    const { images } = await catalog.listColdest({ limit: 9 })
    t.match(images, [
      { digest: digestNamed('amd64'), warmthMs: 2, usedAtMs: 50 },
      { digest: digestNamed('arm64'), warmthMs: 3, usedAtMs: 50 },
      { digest: digestNamed('other'), warmthMs: 9, usedAtMs: 9 },
    ])
  })

  t.test('the image that a tag has left goes before all others', async t => {
    const catalog = await makeCatalog(t)
    for (const [at, name] of ['other', 'image'].entries())
      await catalog.recordManifest(pullOf(manifestNamed(name), { tag: latest, atMs: 10 - at }))
    await catalog.recordTag(alpine, stable, digestNamed('image'), { checkedAtMs: 1 })
    await catalog.recordManifest(pullOf(manifestNamed('next'), { tag: latest, atMs: 5 }))
    t.strictSame(await coldest(catalog), ['other', 'next', 'image'], 'a tag still points to it')
    await catalog.recordPush(pushOf('next', { tags: [stable], hold: 'nothing' }))
    const { images: cold } = await catalog.listColdest({ limit: 2 })
    t.strictSame(named(cold.map(({ digest }) => digest)), ['image', 'other'])
    await catalog.noteUses([
      { repository: alpine, digest: digestNamed('image'), count: 1, atMs: 20 },
    ])
    t.match(await catalog.usageOf(alpine, digestNamed('image')), { warmthMs: 20 })
  })

  t.test('images are listed page by page, and not an index with one of them here', async t => {
    const catalog = await makeCatalog(t)
    await pullIndex(catalog)
    await catalog.recordPush(pushOf('kept', { tags: [] }))
    const [first] = (await catalog.listColdest({ limit: 1 })).images
    if (first === undefined) throw new Error('there are two')
    t.match(first, { digest: digestNamed('amd64'), usedAtMs: 2, warmthMs: 2, isIndex: false })
    t.match((await catalog.listColdest({ limit: 9, after: first })).images, [
      { repository: alpine, digest: digestNamed('arm64') },
    ])
  })

  t.test('an image leaves with what it alone lists, and its index with the last one', async t => {
    const catalog = await makeCatalog(t)
    await pullIndex(catalog)
    const one = { repository: alpine, digest: digestNamed('amd64') }
    const dry = await catalog.footprint([one])
    await catalog.evictImage(evicted('amd64'))
    const first = await catalog.listLeaving({ limit: 9 })
    t.strictSame(
      first.map(({ digest }) => digest),
      ['layer of amd64', 'amd64'].map(digestNamed).sort(),
      'though the index lists it',
    )
    const digests = first.map(({ digest }) => digest)
    t.strictSame(
      { ...dry, byImage: freedBy(dry) },
      { digests, freedBytes: 8192, byImage: [freed(digests)] },
    )
    t.equal(await isMemberOf(catalog, alpine, digestNamed('layer of amd64')), false)
    t.ok(await isMemberOf(catalog, alpine, digestNamed('base')), 'another image lists it')
    t.ok(await catalog.findTag(alpine, latest))
    await catalog.evictImage(evicted('arm64'))
    t.equal((await catalog.listLeaving({ limit: 9 })).length, 6, 'all but nothing is left')
    t.equal(await catalog.findTag(alpine, latest), undefined)
    t.match(await catalog.totals(), { manifests: 0, blobs: 0, contentBlocks: 0 })
  })

  t.test('R490: it is told what an eviction has done, and whether it has at all', async t => {
    const catalog = await makeCatalog(t)
    await pullIndex(catalog)
    await catalog.recordManifest(pullOf(manifestNamed('image', [layerEdge('base')])))
    await catalog.recordManifest(
      pullOf(manifestNamed('image', [layerEdge('base')]), { repository: secret }),
    )
    const evict = async (name: string, repository = alpine) => {
      const { hasLeft, leaves } = await catalog.evictImage(evicted(name, repository))
      return { hasLeft, leaves: named(leaves.map(({ digest }) => digest)).sort() }
    }
    const nothing = { hasLeft: false, leaves: [] }
    t.strictSame(await evict('image'), { hasLeft: true, leaves: [] }, 'another one needs it')
    t.strictSame(await evict('image'), nothing, 'it has left')
    const lease = { repository: alpine, digests: [digestNamed('arm64')], untilMs: 9 }
    await catalog.lease(lease)
    t.strictSame(await evict('arm64'), nothing, 'a push was told of it')
    await catalog.expireLeases(10)
    const layer = digestNamed('layer of arm64')
    t.strictSame(await evict('arm64'), { hasLeft: true, leaves: ['arm64', layer].sort() })
    await evict('image', secret)
    const { hasLeft, leaves } = await catalog.evictImage(evicted('amd64'))
    t.ok(hasLeft)
    const listedBy = new Map(leaves.map(each => [named([each.digest])[0], each.listedBy]))
    t.equal(listedBy.size, 4)
    t.equal(listedBy.get('amd64'), undefined)
    t.ok(listedBy.has('index'), 'with its last manifest')
    t.equal(listedBy.get('base'), digestNamed('amd64'))
  })

  t.test('an index does not stay for a manifest of it that was pushed', async t => {
    const catalog = await makeCatalog(t)
    const kept = manifestNamed('arm64', [layerEdge('own')])
    await catalog.recordManifest(pullOf(kept, { atMs: 1 }))
    await catalog.recordPush(pushOf('arm64', { repository: secret, manifest: kept, tags: [] }))
    const edges = ['arm64', 'amd64', 'other'].map(name => layerEdge(name, { kind: 'manifest' }))
    await catalog.recordManifest(pullOf(manifestNamed('index', edges), { tag: latest, atMs: 2 }))
    await catalog.recordManifest(pullOf(manifestNamed('amd64'), { atMs: 3 }))
    await catalog.recordBlob(blobOf('other'))
    t.strictSame(await coldest(catalog), ['amd64'])
    const dry = await catalog.footprint([{ repository: alpine, digest: digestNamed('amd64') }])
    t.strictSame(named(dry.digests).sort(), ['amd64', 'index', 'other'])
    await catalog.evictImage(evicted('amd64'))
    t.strictSame(await leaving(catalog), ['amd64', 'index', 'other'])
    t.ok(await catalog.findManifest(secret, kept.digest))
  })

  t.test('what another repository was given stays for it', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('image', [layerEdge('own')])
    for (const repository of [alpine, secret]) {
      await catalog.recordManifest(pullOf(manifest, { repository }))
      await catalog.recordBlob(blobOf('own', { repository }))
    }
    const [here, there] = [alpine, secret].map(repository => ({ repository, ...manifest }))
    if (here === undefined || there === undefined) throw new Error('there are two')
    const one = await catalog.footprint([here])
    t.strictSame(one, { digests: [], freedBytes: 0, byImage: [freed([], 2)] })
    const both = await catalog.footprint([here, there])
    t.strictSame(named(both.digests).sort(), ['image', 'own'])
    t.strictSame(freedBy(both), [freed([], 2), freed(both.digests, 2, secret)], 'free by the last')
    for (const time of ['once', 'again']) {
      const tried = await catalog.footprint([there], { after: one })
      t.strictSame(
        { ...tried, byImage: freedBy(tried) },
        { ...both, byImage: [freed(both.digests, 2, secret)] },
        `after the first, ${time}`,
      )
    }
    const next = await catalog.footprint([there], { after: one })
    const last = await catalog.footprint([there, here], { after: next })
    t.strictSame(
      last,
      { digests: [], freedBytes: 0, byImage: [freed([], 0, secret), freed([])] },
      'nothing leaves twice',
    )
    await catalog.evictImage(evicted('image'))
    t.strictSame(await leaving(catalog), [])
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
    t.ok(await catalog.findManifest(secret, manifest.digest))
    t.ok(await isMemberOf(catalog, secret, digestNamed('own')))
    await catalog.evictImage(evicted('image', secret))
    t.strictSame(await leaving(catalog), ['image', 'own'])
  })

  t.test('R383: who does not share needs what it has delivered, of what it lists', async t => {
    const catalog = await makeCatalog(t)
    const sibling = parseRepositoryKey('registry.corp.example/team/other')
    const lists = async () => named((await catalog.findNeed(digestNamed('image')))?.lists ?? [])
    const manifest = manifestNamed(
      'image',
      ['own', 'base', 'other'].map(name => layerEdge(name)),
    )
    await catalog.recordBlob(blobOf('other', { repository: sibling }))
    await catalog.recordBlob(blobOf('base'))
    await catalog.recordManifest(pullOf(manifest, { repository: secret, apart: true }))
    t.strictSame(await lists(), ['other'], 'which its registry has delivered')
    await catalog.recordBlob(blobOf('own', { repository: secret }))
    t.strictSame(await lists(), ['own', 'other'])
    const loose = async () =>
      named((await catalog.listLoose({ limit: 9 })).map(({ digest }) => digest))
    t.strictSame(await loose(), ['base'])
    await catalog.recordManifest(pullOf(manifest))
    t.strictSame(await lists(), ['own', 'base', 'other'], 'where it is given by one that shares')
    t.strictSame(await loose(), [])
    const dry = await catalog.footprint([{ repository: alpine, digest: manifest.digest }])
    const base = [digestNamed('base')]
    const { repositories: own, ...rest } = freed(base, 4)
    // It lists the base, too.
    const other = { repository: repositoryKey(secret), bytes: 4096 }
    const byImage = [{ ...rest, repositories: [...own, other] }]
    t.strictSame(dry, { digests: base, freedBytes: 4096, byImage })
    await catalog.evictImage(evicted('image'))
    t.strictSame(await leaving(catalog), ['base'])
    t.strictSame(await lists(), ['own', 'other'])
    const last = await catalog.footprint([{ repository: secret, digest: manifest.digest }])
    t.strictSame(named(last.digests).sort(), ['image', 'other', 'own'])
  })

  t.test('what was pushed needs all that it lists, whatever its registry is', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('image', [layerEdge('own')])
    await catalog.recordManifest(pullOf(manifest, { apart: true }))
    t.match(await catalog.findNeed(manifest.digest), { lists: [] })
    await catalog.recordPush(pushOf('image', { manifest }))
    t.match(await catalog.findNeed(manifest.digest), { lists: [digestNamed('own')] })
    await catalog.recordManifest(pullOf(manifest, { apart: true }))
    t.match(await catalog.findNeed(manifest.digest), { lists: [digestNamed('own')] })
  })

  t.test('what is spared stays a member, though nothing needs it', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('image', [layerEdge('own'), layerEdge('base')])
    await catalog.recordManifest(pullOf(manifest))
    for (const name of ['own', 'base']) await catalog.recordBlob(blobOf(name))
    const spared = new Set([digestNamed('base')])
    const dry = await catalog.footprint([{ repository: alpine, digest: manifest.digest }], {
      spared,
    })
    t.strictSame(named(dry.digests).sort(), ['image', 'own'])
    await catalog.evictImage({ ...evicted('image'), spared })
    t.strictSame(await leaving(catalog), ['image', 'own'])
    t.ok(await isMemberOf(catalog, alpine, digestNamed('base')))
    const letGo = { digests: [digestNamed('base')], reason: 'evicted', atMs: 99 } as const
    await catalog.letGo({ ...letGo, spared })
    t.ok(await catalog.findContent(digestNamed('base')))
    await catalog.letGo(letGo)
    t.strictSame(await leaving(catalog), ['base', 'image', 'own'])
  })

  t.test('it is told whether a manifest lists one of some', async t => {
    const catalog = await makeCatalog(t)
    const subject = layerEdge('other', { kind: 'subject' })
    await catalog.recordManifest(
      pullOf(manifestNamed('image', [layerEdge('own'), layerEdge('base'), subject])),
    )
    const lists = (...names: string[]) =>
      catalog.listsAny(digestNamed('image'), names.map(digestNamed))
    t.equal(await lists(), false)
    t.equal(await lists('next', 'base'), true)
    t.equal(await lists('next', 'other', 'image'), false, 'a subject is not listed')
  })

  t.test('a repository comes to what belongs to it and is here', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('image', [layerEdge('own'), layerEdge('base')])
    for (const repository of [alpine, secret])
      await catalog.recordManifest(pullOf(manifest, { repository }))
    const comesTo = async (...blocks: number[]) =>
      t.strictSame(
        await catalog.listRepositoryBytes({ limit: 9 }),
        [alpine, secret].flatMap((repository, at) => {
          const bytes = (blocks[at] ?? 0) * 4096
          return bytes === 0 ? [] : [{ repository: repositoryKey(repository), bytes }]
        }),
      )
    await comesTo(1, 1)
    // What both list, both have.
    await catalog.recordBlob(blobOf('own', { sizeBytes: 5_000 }))
    await comesTo(3, 3)
    const [first] = await catalog.listRepositoryBytes({ limit: 1 })
    t.equal(first?.repository, repositoryKey(alpine))
    t.match(await catalog.listRepositoryBytes({ limit: 9, after: repositoryKey(alpine) }), [
      { repository: repositoryKey(secret) },
    ])
    await catalog.evictImage(evicted('image'))
    await comesTo(0, 3)
  })

  t.test('a footprint tells by how much less each image makes its repository', async t => {
    const catalog = await makeCatalog(t)
    const image = manifestNamed('image', [layerEdge('own'), layerEdge('base')])
    const other = manifestNamed('other', [layerEdge('base'), layerEdge('next')])
    for (const repository of [alpine, secret])
      for (const manifest of [image, other])
        await catalog.recordManifest(pullOf(manifest, { repository }))
    for (const name of ['own', 'base', 'next']) await catalog.recordBlob(blobOf(name))
    await catalog.recordBlob(blobOf('index', { sizeBytes: 9_000 }))
    await catalog.lease({ repository: alpine, digests: [digestNamed('next')], untilMs: 60 })
    const bytes = async () => {
      const [row] = await catalog.listRepositoryBytes({ limit: 1 })
      return row?.repository === repositoryKey(alpine) ? row.bytes : 0
    }
    const images = [image, other].map(({ digest }) => ({ repository: alpine, digest }))
    const { digests, byImage } = await catalog.footprint(images)
    t.strictSame(digests, [], 'the other repository has all of it')
    // Of the first what the second lists stays, of the second what was leased.
    const less = [2 * 4096, 2 * 4096]
    t.strictSame(
      byImage.map(({ repositories }) => repositories),
      less.map(each => [{ repository: repositoryKey(alpine), bytes: each }]),
    )
    const [first, second] = images
    if (first === undefined || second === undefined) throw new Error('there are two')
    const before = await bytes()
    await catalog.evictImage({ ...first, reason: 'evicted', atMs: 99 })
    t.equal(before - (await bytes()), less[0])
    await catalog.evictImage({ ...second, reason: 'evicted', atMs: 99 })
    t.equal(before - (await bytes()), 4 * 4096)
    t.equal(await bytes(), 4 * 4096)
  })

  t.test('and how much less others come to, which know as theirs what leaves with it', async t => {
    const catalog = await makeCatalog(t)
    const image = manifestNamed('image', [layerEdge('own')])
    const index = manifestNamed('index', [layerEdge('image', { kind: 'manifest' })])
    await catalog.recordManifest(pullOf(image, { repository: alpine }))
    await catalog.recordBlob(blobOf('own'))
    await catalog.recordManifest(pullOf(index, { repository: secret }))
    await catalog.recordMember(local, digestNamed('own'), 1)
    const { byImage } = await catalog.footprint([{ repository: alpine, digest: image.digest }])
    const bytesOf = async () => await catalog.listRepositoryBytes({ limit: 9 })
    const before = await bytesOf()
    await catalog.evictImage(evicted('image'))
    const after = new Map((await bytesOf()).map(each => [each.repository, each.bytes]))
    const lost = before.map(({ repository, bytes }) => {
      return { repository, bytes: bytes - (after.get(repository) ?? 0) }
    })
    t.equal(lost.filter(({ bytes }) => bytes > 0).length, 3)
    const [own, ...others] = byImage[0]?.repositories ?? []
    t.strictSame(
      own,
      lost.find(({ repository }) => repository === repositoryKey(alpine)),
    )
    t.strictSame(
      others,
      lost.filter(({ repository }) => repository !== repositoryKey(alpine)),
    )
  })

  t.test('what is kept, leased or promised is not evicted, nor is what it lists', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordPush(pushOf('image', { manifest: manifestNamed('image') }))
    const other = manifestNamed('other', [layerEdge('own'), layerEdge('base')])
    await catalog.recordManifest(pullOf(other))
    await catalog.recordBlob(blobOf('own', { acknowledgedAtMs: 4 }))
    await catalog.recordBlob(blobOf('base'))
    const lease = (name: string) =>
      catalog.lease({ repository: alpine, digests: [digestNamed(name)], untilMs: 60 })
    await lease('other')
    for (const name of ['image', 'other']) await catalog.evictImage(evicted(name))
    t.strictSame(await coldest(catalog), [])
    t.strictSame(await leaving(catalog), [])
    await catalog.expireLeases(99)
    await lease('base')
    await catalog.evictImage(evicted('other'))
    t.strictSame(await leaving(catalog), ['other'])
    for (const name of ['own', 'base']) t.ok(await isMemberOf(catalog, alpine, digestNamed(name)))
  })

  t.test(
    'R352: what is kept for others leaves the repository that it is purged from, and they have it',
    async t => {
      const catalog = await makeCatalog(t)
      const image = manifestNamed('image', [layerEdge('own')])
      const isHere = async (repository = alpine) =>
        (await isMemberOf(catalog, repository, image.digest)) &&
        (await isMemberOf(catalog, repository, digestNamed('own')))
      const purge = (repository = alpine) =>
        catalog.evictImage({ ...evicted('image', repository), reason: 'purged' })
      for (const repository of [alpine, local, secret]) {
        await catalog.recordBlob(blobOf('own', { repository, hold: 'awaited' }))
        await catalog.recordManifest(pullOf(image, { repository, tag: latest }))
      }
      const again = { manifest: image, repository: secret, tags: [] }
      await catalog.recordPush(pushOf('image', { ...again, hold: 'awaited' }))
      await purge()
      t.ok(await isHere(), 'nobody says for whom it is kept')
      await catalog.recordPush(pushOf('image', again))
      await catalog.evictImage(evicted('image'))
      t.ok(await isHere(), 'eviction takes nothing that is kept')
      await catalog.lease({ repository: alpine, digests: [image.digest], untilMs: 60 })
      await purge()
      t.ok(await isHere(), 'it is leased there')
      await catalog.expireLeases(99)
      await purge()
      t.notOk(await isMemberOf(catalog, alpine, image.digest))
      t.notOk(await isMemberOf(catalog, alpine, digestNamed('own')))
      t.equal(await catalog.findTag(alpine, latest), undefined)
      for (const repository of [local, secret]) {
        await purge(repository)
        t.ok(await isHere(repository), 'it is theirs')
      }
      t.strictSame(await leaving(catalog), [])
      t.match(await catalog.findContent(image.digest), { contentClass: 'kept' })
    },
  )

  t.test('a tag forgets the previous image that is evicted', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordManifest(pullOf(manifestNamed('image'), { tag: latest }))
    const previous = { digest: digestNamed('image'), checkedAtMs: 1 }
    await catalog.recordTag(alpine, latest, digestNamed('next'), { checkedAtMs: 2, previous })
    await catalog.evictImage(evicted('image'))
    t.match(await catalog.findTag(alpine, latest), {
      digest: digestNamed('next'),
      previous: undefined,
    })
  })

  t.test('what was evicted and comes again is counted, as far as it is remembered', async t => {
    const catalog = await makeCatalog(t)
    const images = ['image', 'other', 'next'].map(name => manifestNamed(name))
    for (const manifest of images) await catalog.recordManifest(pullOf(manifest))
    for (const name of ['image', 'other']) await catalog.evictImage(evicted(name))
    await catalog.evictImage({ ...evicted('next'), reason: 'purged' })
    t.strictSame(await catalog.returnedImages(), { images: 0, bytes: 0 })
    // Since the first has left, one more block has.
    await catalog.trimGhosts(4095)
    for (const manifest of [...images, ...images]) await catalog.recordManifest(pullOf(manifest))
    t.strictSame(await catalog.returnedImages(), { images: 1, bytes: 4096 })
  })
}
