// The part of the catalog contract about what follows a deleted manifest. Method: only the port is
// used; times are made up; what must not follow is asked for as well.
import type { Test } from 'tap'
import { parseTag, type Repository } from '../../src/oci/reference.ts'
import type { Follower } from '../../src/registry/ports/catalog-followers.ts'
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

const listing = (...names: string[]) => names.map(name => layerEdge(name, { kind: 'manifest' }))
const about = (name: string) => [layerEdge(name, { kind: 'subject' })]
const signature = (name: string, suffix = '.sig') =>
  parseTag(`${digestNamed(name).replace(':', '-')}${suffix}`)

async function push(
  catalog: Catalog,
  name: string,
  { edges = listing(), tags = [] as ReturnType<typeof parseTag>[], repository = alpine } = {},
): Promise<void> {
  const manifest = manifestNamed(name, edges)
  await catalog.recordPush(pushOf(name, { manifest, tags, repository }))
}

const remove = (catalog: Catalog, name: string, followedSinceMs?: number) =>
  catalog.removeMember(
    alpine,
    digestNamed(name),
    followedSinceMs === undefined ? {} : { followedSinceMs },
  )

const NAMES = ['one', 'two', 'nested', 'referrer', 'signature', 'bare', 'other', 'blob']

async function following(catalog: Catalog, repository: Repository = alpine) {
  const found: Record<string, number> = {}
  for (const name of NAMES) {
    const sinceMs = await catalog.followsSince(repository, digestNamed(name))
    if (sinceMs !== undefined) found[name] = sinceMs
  }
  return found
}

/** An index of two, and what is about it; beside them what is about nothing of it. */
async function family(catalog: Catalog): Promise<void> {
  await catalog.recordBlob(blobOf('blob'))
  for (const name of ['one', 'two', 'other']) await push(catalog, name)
  await push(catalog, 'index', { edges: [...listing('one', 'two'), layerEdge('blob')] })
  await push(catalog, 'referrer', { edges: about('index') })
  await push(catalog, 'signature', { tags: [signature('index')] })
  await push(catalog, 'bare', { tags: [signature('index', '')] })
}

export function followersContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('R458: it is known when somebody deleted a manifest last, wherever', async t => {
    const catalog = await makeCatalog(t)
    await push(catalog, 'one')
    await push(catalog, 'one', { repository: secret })
    t.equal(await catalog.deletedAt(digestNamed('one')), undefined)
    await catalog.removeMember(alpine, digestNamed('one'), { deletedAtMs: 9 })
    t.equal(await catalog.deletedAt(digestNamed('one')), 9)
    await catalog.removeMember(alpine, digestNamed('one'), { deletedAtMs: 11 })
    t.equal(await catalog.deletedAt(digestNamed('one')), 9, 'it was gone by then')
    await catalog.removeMember(secret, digestNamed('one'), { deletedAtMs: 5 })
    t.equal(await catalog.deletedAt(digestNamed('one')), 9, 'the latest')
    t.equal(await catalog.deletedAt(digestNamed('never seen')), undefined)
  })

  t.test('R384: what a deleted manifest listed, and what was about it, follows it', async t => {
    const catalog = await makeCatalog(t)
    await family(catalog)
    await push(catalog, 'one', { repository: secret })
    await push(catalog, 'other', { tags: [signature('one')] })
    await remove(catalog, 'index', 5)
    const all = { one: 5, two: 5, referrer: 5, signature: 5, bare: 5 }
    t.strictSame(await following(catalog), all)
    t.strictSame(await following(catalog, secret), {}, 'of that repository alone')
    await remove(catalog, 'two', 9)
    t.strictSame(await following(catalog), { one: 5, referrer: 5, signature: 5, bare: 5 })
    await remove(catalog, 'one', 3)
    t.match(await following(catalog), { other: 3 })
    await remove(catalog, 'never seen', 9)
  })

  t.test('nothing follows where that is not said, nor what is no member', async t => {
    const catalog = await makeCatalog(t)
    await family(catalog)
    await remove(catalog, 'index')
    t.strictSame(await following(catalog), {})
    await remove(catalog, 'index', 5)
    t.strictSame(await following(catalog), {}, 'it was gone before')
  })

  t.test('R384: what an upstream gave follows as well', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordManifest(pullOf(manifestNamed('one')))
    await catalog.recordManifest(pullOf(manifestNamed('index', listing('one', 'two'))))
    await remove(catalog, 'index', 5)
    t.strictSame(await following(catalog), { one: 5 }, 'but not what never was given')
  })

  t.test('R432: what was pushed does not follow what its upstream gave', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordManifest(pullOf(manifestNamed('one')))
    await push(catalog, 'two')
    await catalog.recordManifest(pullOf(manifestNamed('index', listing('one', 'two'))))
    await push(catalog, 'referrer', { edges: about('index') })
    await push(catalog, 'signature', { tags: [signature('index')] })
    await remove(catalog, 'index', 5)
    t.strictSame(await following(catalog), { one: 5 })
  })

  t.test('R384: the later of two deletes counts, and a push ends it', async t => {
    const catalog = await makeCatalog(t)
    for (const name of ['one', 'two', 'nested']) await push(catalog, name)
    await push(catalog, 'first', { edges: listing('one', 'two', 'nested') })
    await push(catalog, 'second', { edges: listing('one') })
    await remove(catalog, 'first', 5)
    await remove(catalog, 'second', 8)
    t.strictSame(await following(catalog), { one: 8, two: 5, nested: 5 })
    await push(catalog, 'two')
    t.strictSame(await following(catalog), { one: 8, nested: 5 })
    await push(catalog, 'third', { edges: [...listing('one'), ...about('nested')] })
    t.strictSame(await following(catalog), { nested: 5 }, 'what it is about it does not reach')
    await catalog.endFollowing({ repository: secret, digest: digestNamed('nested') })
    t.strictSame(await following(catalog), { nested: 5 })
    await catalog.endFollowing({ repository: alpine, digest: digestNamed('nested') })
    t.strictSame(await following(catalog), {})
  })

  t.test('R384: of what loses a tag meanwhile the grace begins anew', async t => {
    const catalog = await makeCatalog(t)
    const [left, moved] = [parseTag('left'), parseTag('moved')]
    await push(catalog, 'one', { tags: [left] })
    await push(catalog, 'two', { tags: [moved] })
    await push(catalog, 'other', { tags: [parseTag('other')] })
    await push(catalog, 'index', { edges: listing('one', 'two') })
    await remove(catalog, 'index', 5)
    await push(catalog, 'other', { tags: [parseTag('other'), moved] })
    await catalog.deleteTag(alpine, left)
    await catalog.deleteTag(alpine, parseTag('other'))
    t.strictSame(await following(catalog), { one: 0, two: 0 })
    const page = { beforeMs: 99, limit: 9 }
    t.strictSame(await catalog.listFollowers(page), [], 'nobody knows since when')
    t.equal(await catalog.firstFollowsAt(0), undefined)
    await push(catalog, 'index', { edges: listing('one') })
    await remove(catalog, 'index', 6)
    t.strictSame(await following(catalog), { one: 6, two: 0 })
    await catalog.stampLoose(7)
    t.strictSame(await following(catalog), { one: 6, two: 7 })
    await catalog.putBack({ nowMs: 6, longestMs: 1 })
    t.strictSame(await following(catalog), { one: 6, two: 6 }, 'from a clock that was ahead')
  })

  t.test('followers are listed by their time, page by page', async t => {
    const catalog = await makeCatalog(t)
    const times = { one: 5, two: 3, nested: 5, other: 9 }
    for (const [name, sinceMs] of Object.entries(times)) {
      await push(catalog, name)
      await push(catalog, 'index', { edges: listing(name) })
      await remove(catalog, 'index', sinceMs)
    }
    const listed: Follower[] = []
    for (;;) {
      const after = listed.at(-1)
      const place = after === undefined ? {} : { after }
      const page = await catalog.listFollowers({ beforeMs: 9, limit: 1, ...place })
      if (page.length === 0) break
      listed.push(...page)
    }
    t.strictSame(
      listed.map(({ sinceMs }) => sinceMs),
      [3, 5, 5],
    )
    t.match(listed[0], { repository: alpine, digest: digestNamed('two') })
    t.same(
      new Set(listed.map(({ digest }) => digest)),
      new Set(['one', 'two', 'nested'].map(digestNamed)),
    )
    t.equal(await catalog.firstFollowsAt(4), 5)
    t.equal(await catalog.firstFollowsAt(10), undefined)
  })

  t.test('R384: what whoever may push was told of is not taken, where that is asked', async t => {
    const catalog = await makeCatalog(t)
    for (const name of ['one', 'two']) await push(catalog, name)
    await push(catalog, 'two', { repository: secret })
    await catalog.recordBlob(blobOf('blob', { acknowledgedAtMs: 5 }))
    await catalog.lease({ repository: alpine, digests: [digestNamed('one')], untilMs: 9 })
    await catalog.lease({ repository: secret, digests: [digestNamed('two')], untilMs: 9 })
    const unlessLeased = { leasesOverMs: 9 }
    const remove = (name: string) =>
      catalog.removeMember(alpine, digestNamed(name), { unlessLeased })
    t.strictSame(await Promise.all(['one', 'two', 'blob'].map(remove)), [false, true, false])
    t.ok(await catalog.findManifest(alpine, digestNamed('one')))
    t.ok(await catalog.findMember(alpine, digestNamed('blob')))
    t.ok(await catalog.isPending(alpine, digestNamed('blob')))
    t.notOk(await catalog.findManifest(alpine, digestNamed('two')), 'told for another repository')
    await catalog.removeMember(alpine, digestNamed('one'), { unlessLeased: {} })
    t.ok(await catalog.findManifest(alpine, digestNamed('one')), 'it is written down')
    await catalog.removeMember(alpine, digestNamed('one'), { unlessLeased: { leasesOverMs: 10 } })
    t.notOk(await catalog.findManifest(alpine, digestNamed('one')), 'it is over')
  })
}
