// The part of the catalog contract about room: what is loose, how it leaves, and what keeps it.
// Method: only the port is used; what is on disk is nobody's concern here.
import type { Test } from 'tap'
import { PUSH_MAX_MS } from '../../src/registry/ports/catalog-pushes.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  latest,
  layerEdge,
  type MakeCatalog,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from './catalog-samples.ts'
import { isMemberOf } from '../kit/judges/membership.ts'

const IMAGES = ['index', 'image', 'other', 'later', 'partly', 'none']
const NAMES = [...IMAGES, 'own', 'shared', 'config', 'lone', 'fresh']

/** By the names of these tests. */
function named(rows: readonly { readonly digest: string }[]): string[] {
  const names = rows.map(({ digest }) => NAMES.find(name => digestNamed(name) === digest) ?? digest)
  return names.sort()
}

const loose = async (catalog: Catalog) => named(await catalog.listLoose({ limit: 99 }))
const leaving = async (catalog: Catalog) => named(await catalog.listLeaving({ limit: 99 }))

/** Two images that share a layer, pulled. */
async function pullTwo(catalog: Catalog): Promise<void> {
  const image = manifestNamed('image', [layerEdge('own'), layerEdge('shared')])
  const other = manifestNamed('other', [layerEdge('shared')])
  for (const manifest of [image, other]) await catalog.recordManifest(pullOf(manifest))
  for (const name of ['own', 'shared']) await catalog.recordBlob(blobOf(name))
}

const gone = (...names: string[]) => ({
  digests: names.map(digestNamed),
  reason: 'collected' as const,
  atMs: 50,
})

export function spaceContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('what no manifest here lists, and nobody was given as one, is loose', async t => {
    const catalog = await makeCatalog(t)
    await pullTwo(catalog)
    await catalog.recordBlob(blobOf('lone', { atMs: 7 }))
    t.match(await catalog.listLoose({ limit: 9 }), [
      { digest: digestNamed('lone'), sizeBytes: 7, lastUsedAtMs: 7, looseAtMs: undefined },
    ])
    await catalog.removeMember(alpine, digestNamed('image'))
    t.strictSame(await loose(catalog), ['image', 'lone'], 'not what it lists, while it is here')
    await catalog.letGo(gone('image'))
    t.strictSame(await loose(catalog), ['lone'], 'and what it listed has left with it')
    t.strictSame(await leaving(catalog), ['image', 'own'])
    t.ok(await catalog.findContent(digestNamed('shared')))
  })

  t.test(
    'R490: what is let go is told, with what leaves by it, and nothing that stays',
    async t => {
      const catalog = await makeCatalog(t)
      await pullTwo(catalog)
      for (const name of ['lone', 'config']) await catalog.recordBlob(blobOf(name))
      await catalog.removeMember(alpine, digestNamed('image'))
      await catalog.lease({ repository: alpine, digests: [digestNamed('config')], untilMs: 99 })
      const { sizeBytes } = manifestNamed('image')
      const [image, own, lone] = ['image', 'own', 'lone'].map(digestNamed)
      t.strictSame(await catalog.letGo(gone('image', 'own', 'shared', 'config', 'next', 'lone')), [
        [
          { digest: image, sizeBytes, listedBy: undefined },
          { digest: own, sizeBytes: 7, listedBy: image },
        ],
        [],
        [],
        [],
        [],
        [{ digest: lone, sizeBytes: 7, listedBy: undefined }],
      ])
      t.strictSame(await leaving(catalog), ['image', 'lone', 'own'])
    },
  )

  t.test('a subject is not needed by what refers to it', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordBlob(blobOf('lone'))
    const edges = [layerEdge('lone', { kind: 'subject' })]
    await catalog.recordManifest(pullOf(manifestNamed('image', edges)))
    t.strictSame(await loose(catalog), ['lone'])
  })

  t.test('content is loose since somebody looked, and not before it was needed', async t => {
    const catalog = await makeCatalog(t)
    await pullTwo(catalog)
    await catalog.recordBlob(blobOf('lone'))
    await catalog.removeMember(alpine, digestNamed('other'))
    const since = (beforeMs: number) => catalog.listLooseSince({ beforeMs, limit: 9 })
    t.strictSame(await since(999), [], 'nobody knows since when')
    await catalog.stampLoose(20)
    await catalog.stampLoose(30)
    t.strictSame(await since(20), [])
    t.match(await since(21), [{ digest: digestNamed('other'), looseAtMs: 20 }])
    await catalog.recordPush(pushOf('other', { manifest: manifestNamed('other') }))
    t.strictSame(await since(999), [], 'it is needed again')
  })

  t.test(
    'the first time is told at which something became loose that nobody was promised',
    async t => {
      const catalog = await makeCatalog(t)
      await pullTwo(catalog)
      await catalog.removeMember(alpine, digestNamed('other'))
      t.equal(await catalog.firstLooseAt(0), undefined, 'nobody knows since when')
      await catalog.stampLoose(20)
      await catalog.removeMember(alpine, digestNamed('image'))
      await catalog.stampLoose(30)
      const times = await Promise.all([0, 20, 21, 30, 31].map(from => catalog.firstLooseAt(from)))
      t.strictSame(times, [20, 20, 30, 30, undefined])
      await catalog.recordMember(secret, digestNamed('other'), 1)
      await catalog.lease({ repository: secret, digests: [digestNamed('other')], untilMs: 90 })
      t.equal(await catalog.firstLooseAt(0), 30)
    },
  )

  t.test('loose content is listed page by page, the longest unused first', async t => {
    const catalog = await makeCatalog(t)
    for (const [at, name] of ['own', 'shared', 'lone', 'other'].entries())
      await catalog.recordBlob(blobOf(name, { atMs: 9 - (at % 2) }))
    const seen: string[] = []
    let page = await catalog.listLoose({ limit: 1 })
    for (let after = page.at(-1); after !== undefined; after = page.at(-1)) {
      seen.push(...named(page))
      page = await catalog.listLoose({ limit: 1, after })
    }
    t.strictSame(seen.slice(0, 2).sort(), ['other', 'shared'])
    t.strictSame(seen.slice(2).sort(), ['lone', 'own'])
  })

  t.test('only what nothing needs is let go, and kept content is not evicted', async t => {
    const catalog = await makeCatalog(t)
    await pullTwo(catalog)
    await catalog.recordBlob(blobOf('lone', { hold: 'awaited' }))
    await catalog.letGo({ ...gone('image', 'own', 'lone', 'config'), reason: 'evicted' })
    t.strictSame(await leaving(catalog), [])
    await catalog.letGo(gone('lone'))
    t.match(await catalog.listLeaving({ limit: 9 }), [
      { digest: digestNamed('lone'), sizeBytes: 7, reason: 'collected', atMs: 50 },
    ])
    t.equal(await catalog.findContent(digestNamed('lone')), undefined)
    t.match(await catalog.totals(), { keptBlocks: 0, leavingBlocks: 1, contentBlocks: 4 })
  })

  t.test('what a client was promised, or told to be here, does not leave', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordBlob(blobOf('own', { acknowledgedAtMs: 5 }))
    await catalog.recordBlob(blobOf('shared'))
    await catalog.recordMember(secret, digestNamed('shared'), 1)
    await catalog.lease({ repository: secret, digests: [digestNamed('shared')], untilMs: 90 })
    await catalog.lease({ repository: secret, digests: [digestNamed('shared')], untilMs: 60 })
    t.equal(await catalog.leasedUntil(secret, digestNamed('shared')), 90)
    t.equal(await catalog.leasedUntil(alpine, digestNamed('shared')), undefined)
    t.equal(await catalog.isPending(alpine, digestNamed('own')), true)
    t.equal(await catalog.isPending(secret, digestNamed('own')), false)
    await catalog.letGo(gone('own', 'shared'))
    t.strictSame(await loose(catalog), [])
    t.strictSame(await leaving(catalog), [])
    await catalog.expirePendingBlob({
      repository: alpine,
      digest: digestNamed('own'),
      acknowledgedAtMs: 5,
    })
    await catalog.expireLeases(90)
    t.strictSame(await loose(catalog), ['own'])
    await catalog.stampLoose(70)
    t.match(await catalog.listLooseSince({ beforeMs: 99, limit: 9 }), [
      { digest: digestNamed('own') },
    ])
    const asOf = async (leasesOverMs: number) => ({
      loose: named(await catalog.listLoose({ limit: 9, leasesOverMs })),
      since: named(await catalog.listLooseSince({ beforeMs: 99, limit: 9, leasesOverMs })),
      isPromised: (await catalog.findNeed(digestNamed('shared'), { leasesOverMs }))?.isPromised,
    })
    t.strictSame(await asOf(90), { loose: ['own'], since: ['own'], isPromised: true })
    t.strictSame(await asOf(91), { loose: ['own', 'shared'], since: ['own'], isPromised: false })
    await catalog.expireLeases(91)
    await catalog.letGo(gone('own', 'shared'))
    t.strictSame(await leaving(catalog), ['own', 'shared'])
  })

  t.test('no more is leased in a repository than belongs there', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordBlob(blobOf('own'))
    await catalog.recordBlob(blobOf('shared'))
    const digests = ['own', 'shared', 'lone'].map(digestNamed)
    for (const repository of [alpine, secret])
      await catalog.lease({ repository, digests, untilMs: 60 })
    const leased = async (repository: typeof alpine) => {
      const until = await Promise.all(digests.map(each => catalog.leasedUntil(repository, each)))
      return until.map(each => each ?? 'not')
    }
    t.strictSame(await leased(alpine), [60, 60, 'not'])
    t.strictSame(await leased(secret), ['not', 'not', 'not'], 'whatever others have')
    t.equal(await catalog.isRecorded(digestNamed('lone')), false)
    await catalog.removeMember(alpine, digestNamed('own'))
    t.strictSame(await leased(alpine), ['not', 60, 'not'], 'it is not there any more')
    await catalog.letGo(gone('own', 'shared'))
    t.strictSame(await leaving(catalog), ['own'])
  })

  t.test('what a clock that was ahead has dated holds no longer than what begins now', async t => {
    const catalog = await makeCatalog(t)
    const lease = { repository: alpine, digests: [digestNamed('own')] }
    await catalog.recordBlob(blobOf('own', { atMs: 7000 }))
    await catalog.lease({ ...lease, untilMs: 9000 })
    const leased = () => catalog.leasedUntil(alpine, digestNamed('own'))
    await catalog.putBack({ nowMs: 50, longestMs: 8950 })
    t.equal(await leased(), 9000, 'it may be as long')
    await catalog.putBack({ nowMs: 50, longestMs: 10 })
    t.equal(await leased(), 60)
    await catalog.expireLeases(61)
    t.equal(await leased(), undefined)
    await catalog.recordManifest(pullOf(manifestNamed('image')))
    await catalog.removeMember(alpine, digestNamed('image'))
    await catalog.stampLoose(8000)
    const dates = async () => {
      const page = await catalog.listLoose({ limit: 9 })
      return page.map(({ lastUsedAtMs, looseAtMs }) => [lastUsedAtMs, looseAtMs])
    }
    t.strictSame(await dates(), [
      [1, 8000],
      [50, undefined],
    ])
    await catalog.putBack({ nowMs: 60, longestMs: 10 })
    t.strictSame(await dates(), [
      [1, 60],
      [50, undefined],
    ])
    await catalog.putBack({ nowMs: 70, longestMs: 10 })
    t.strictSame((await dates())[0], [1, 60], 'what is in the past stays')
  })

  t.test('R632: nor is a blob pending for longer by such a clock, or shorter', async t => {
    const catalog = await makeCatalog(t)
    const acknowledge = (name: string, acknowledgedAtMs: number) =>
      catalog.recordBlob(blobOf(name, { hold: 'awaited', acknowledgedAtMs }))
    await acknowledge('own', 40)
    await acknowledge('shared', 7000)
    const pending = async () => {
      const page = await catalog.listPendingBlobs({ beforeMs: 9999, limit: 9 })
      return page.map(({ acknowledgedAtMs }) => acknowledgedAtMs)
    }
    await catalog.putBack({ nowMs: 50, longestMs: PUSH_MAX_MS + 10 })
    t.strictSame(await pending(), [40, 60], 'as a lease that lasts longer than a day')
    await catalog.putBack({ nowMs: 50, longestMs: 10 })
    t.strictSame(await pending(), [40, 50])
    await catalog.putBack({ nowMs: 70, longestMs: 10 })
    t.strictSame(await pending(), [40, 50], 'what is in the past stays')
  })

  t.test('a delete takes what is leased along when the lease is over, and no sooner', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('image', [layerEdge('own')])
    await catalog.recordManifest(pullOf(manifest))
    await catalog.recordBlob(blobOf('own'))
    const digest = digestNamed('own')
    const untilMs = PUSH_MAX_MS + 90
    await catalog.lease({ repository: alpine, digests: [digest], untilMs })
    await catalog.removeMember(alpine, digestNamed('image'))
    t.ok(await isMemberOf(catalog, alpine, digest))
    const pending = { repository: alpine, digest, acknowledgedAtMs: 90 }
    t.strictSame(await catalog.listPendingBlobs({ beforeMs: 91, limit: 9 }), [pending])
    await catalog.expirePendingBlob(pending)
    t.equal(await isMemberOf(catalog, alpine, digest), false)
    t.equal(await catalog.isPending(alpine, digest), false)
  })

  t.test('a lease ends with the manifest that lists it, pushed there', async t => {
    const catalog = await makeCatalog(t)
    const digests = ['own', 'image', 'lone'].map(digestNamed)
    for (const repository of [alpine, secret]) {
      for (const digest of digests) await catalog.recordMember(repository, digest, 1)
      await catalog.lease({ repository, digests, untilMs: 9 })
    }
    const manifest = manifestNamed('image', [layerEdge('own')])
    await catalog.recordPush(pushOf('image', { manifest }))
    const left = async (repository: typeof alpine) => {
      const found = digests.map(digest => catalog.leasedUntil(repository, digest))
      return (await Promise.all(found)).map(until => until !== undefined)
    }
    t.strictSame(await left(alpine), [false, false, true])
    t.strictSame(await left(secret), [true, true, true])
  })

  t.test('whoever records what is leaving takes the intent away', async t => {
    const catalog = await makeCatalog(t)
    const returns = {
      own: () => catalog.recordBlob(blobOf('own')),
      image: () => catalog.recordManifest(pullOf(manifestNamed('image'))),
      other: () => catalog.recordPush(pushOf('other')),
      lone: () => catalog.adopt([{ digest: digestNamed('lone'), sizeBytes: 7 }], 9),
    }
    for (const name of Object.keys(returns)) await catalog.recordBlob(blobOf(name))
    await catalog.letGo(gone(...Object.keys(returns)))
    t.equal((await catalog.listLeaving({ limit: 9 })).length, 4)
    for (const [name, comeBack] of Object.entries(returns)) {
      t.match(await catalog.findLeaving(digestNamed(name)), { reason: 'collected' })
      const all = [digestNamed(name), digestNamed('never here')]
      t.same(await catalog.whichLeave(all), new Set([digestNamed(name)]))
      await comeBack()
      t.equal(await catalog.findLeaving(digestNamed(name)), undefined, name)
      t.same(await catalog.whichLeave(all), new Set(), name)
      await catalog.finishLeaving([digestNamed(name)])
      t.ok(await catalog.findContent(digestNamed(name)), `${name} is here`)
    }
    t.equal((await catalog.totals()).leavingBlocks, 0)
  })

  t.test('when the file is gone, so is what only its row was for', async t => {
    const catalog = await makeCatalog(t)
    await pullTwo(catalog)
    await catalog.recordMember(secret, digestNamed('own'), 1)
    await catalog.recordTag(secret, latest, digestNamed('image'), { checkedAtMs: 1 })
    await catalog.removeMember(alpine, digestNamed('image'))
    await catalog.letGo(gone('image'))
    t.strictSame(await catalog.listRepositoriesLeft(50, 9), ['registry.corp.example/team/secret'])
    t.strictSame(await catalog.listRepositoriesLeft(51, 9), [])
    t.ok(await isMemberOf(catalog, secret, digestNamed('own')))
    await catalog.finishLeaving(['image', 'own', 'shared'].map(digestNamed))
    t.strictSame(await leaving(catalog), [])
    t.equal(await isMemberOf(catalog, secret, digestNamed('own')), false)
    t.ok(await catalog.isRecorded(digestNamed('image')), 'a tag points to it')
    t.ok(await catalog.isRecorded(digestNamed('own')), 'a delete took it along')
    t.ok(await isMemberOf(catalog, alpine, digestNamed('shared')), 'it was not leaving')
    await catalog.recordBlob(blobOf('lone', { repository: secret }))
    await catalog.letGo(gone('lone'))
    await catalog.finishLeaving([digestNamed('lone')])
    t.equal(await catalog.isRecorded(digestNamed('lone')), false)
  })

  t.test('files without rows become cached content of nobody', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordBlob(blobOf('own', { hold: 'awaited' }))
    const files = ['own', 'lone'].map(name => ({ digest: digestNamed(name), sizeBytes: 4097 }))
    await catalog.adopt(files, 30)
    t.match(await catalog.findContent(digestNamed('own')), { sizeBytes: 7, contentClass: 'kept' })
    t.match(await catalog.findContent(digestNamed('lone')), {
      sizeBytes: 4097,
      contentClass: 'cached',
      createdAtMs: 0,
      lastUsedAtMs: 30,
      mediaType: undefined,
    })
    t.strictSame(await catalog.listRepositoriesOf(digestNamed('lone'), 9), [])
    t.strictSame(await loose(catalog), ['lone'])
    t.match(await catalog.totals(), { contentBlocks: 3, keptBlocks: 1 })
    const { digest, sizeBytes, atMs } = blobOf('lone')
    await catalog.recordBlob(blobOf('lone'))
    t.match(
      await catalog.findContent(digest),
      { sizeBytes, createdAtMs: atMs },
      'who has verified it says how long it is',
    )
    await catalog.adopt(files, 40)
    t.match(await catalog.findContent(digest), { sizeBytes, createdAtMs: atMs })
  })

  t.test(
    'R610: what is unclear does not leave, whatever becomes of it, until all is found',
    async t => {
      const catalog = await makeCatalog(t)
      await pullTwo(catalog)
      await catalog.recordBlob(blobOf('lone', { atMs: 7 }))
      await catalog.markRebuilt(false)
      await catalog.recordManifest(pullOf(manifestNamed('index'), { repository: secret }))
      t.equal(await catalog.noteStock(false), false)
      await catalog.adopt([{ digest: digestNamed('config'), sizeBytes: 9 }], 9, true)
      await catalog.recordBlob(blobOf('config', { atMs: 10 }))
      t.strictSame(await loose(catalog), [])
      const areUnclear = () =>
        Promise.all(['lone', 'config', 'later'].map(name => catalog.isUnclear(digestNamed(name))))
      t.strictSame(await areUnclear(), [true, true, false])
      t.match(await catalog.findNeed(digestNamed('lone')), { times: 0, isPromised: true })
      const image = { repository: alpine, digest: digestNamed('image') }
      t.strictSame((await catalog.footprint([image])).digests, [])
      t.strictSame(await catalog.evictImage({ ...image, reason: 'purged', atMs: 50 }), {
        hasLeft: true,
        leaves: [],
      })
      await catalog.stampLoose(40)
      t.equal(await catalog.firstLooseAt(0), undefined)
      t.strictSame(await catalog.listLooseSince({ beforeMs: 99, limit: 9 }), [])
      t.strictSame(await catalog.letGo(gone('lone', 'image', 'own', 'config')), [[], [], [], []])
      await catalog.recordBlob(blobOf('later'))
      await catalog.letGo(gone('later'))
      t.equal(await catalog.findContent(digestNamed('later')), undefined, 'came after the stock')

      while (await catalog.noteStock(true));
      t.strictSame(await areUnclear(), [false, false, false])
      await catalog.stampLoose(60)
      t.equal(await catalog.firstLooseAt(0), 60, 'the grace begins when it is clear')
      t.strictSame(await loose(catalog), ['config', 'image', 'lone'])
      await catalog.letGo(gone('image', 'lone', 'config'))
      t.strictSame(await leaving(catalog), ['config', 'image', 'later', 'lone', 'own'])
    },
  )

  t.test('R915: what is to come is unclear once it is here, until all is found', async t => {
    const catalog = await makeCatalog(t)
    const [toCome, other] = [digestNamed('to come'), digestNamed('other')]
    await catalog.noteStock(false, [toCome])
    t.strictSame(await catalog.isUnclear(toCome), false, 'it is not here')
    t.equal(await catalog.findContent(toCome), undefined)
    for (let step = 0; step < 4; step += 1) await catalog.tidy({ beforeMs: 99, rows: 99 })
    for (const name of ['to come', 'other']) await catalog.recordBlob(blobOf(name))
    t.strictSame(await catalog.isUnclear(toCome), true)
    t.strictSame(await catalog.isUnclear(other), false)
    while (await catalog.noteStock(true));
    t.strictSame(await catalog.isUnclear(toCome), false)
  })

  t.test('R613: nor does it leave its repository for room that nobody would have', async t => {
    const catalog = await makeCatalog(t)
    await pullTwo(catalog)
    await catalog.recordManifest(
      pullOf(manifestNamed('image', [layerEdge('own')]), { tag: latest }),
    )
    await catalog.markRebuilt(false)
    await catalog.noteStock(false)
    const platforms = [layerEdge('later', { kind: 'manifest' })]
    await catalog.recordManifest(pullOf(manifestNamed('index', platforms)))
    await catalog.recordManifest(pullOf(manifestNamed('later', [layerEdge('new')])))
    const cold = async () => named((await catalog.listColdest({ limit: 9 })).images)
    t.strictSame(await cold(), ['later'])
    const image = { repository: alpine, digest: digestNamed('image') }
    const { byImage } = await catalog.footprint([image])
    t.match(byImage, [{ digests: [], bytes: 0, repositories: [{ bytes: 0 }] }])
    const unclear = { ...image, reason: 'evicted', atMs: 50 } as const
    t.strictSame(await catalog.evictImage(unclear), { hasLeft: false, leaves: [] })
    t.match(await catalog.findTag(alpine, latest), { digest: image.digest })
    t.ok(await isMemberOf(catalog, alpine, digestNamed('own')))
    await catalog.evictImage({ ...unclear, digest: digestNamed('later') })
    t.strictSame(await leaving(catalog), ['index', 'later'], 'what came later does, as ever')

    while (await catalog.noteStock(true));
    t.strictSame(await cold(), ['image', 'other'])
    t.match(await catalog.evictImage(unclear), { hasLeft: true })
    t.strictSame(await leaving(catalog), ['image', 'index', 'later', 'own'])
  })

  t.test('R686: nor an image of which its manifest alone would leave', async t => {
    const catalog = await makeCatalog(t)
    await pullTwo(catalog)
    await catalog.markRebuilt(false)
    await catalog.noteStock(false)
    const upon = manifestNamed('upon', [layerEdge('own')])
    const partly = manifestNamed('partly', [layerEdge('own'), layerEdge('fresh')])
    const none = manifestNamed('none', [layerEdge('not here')])
    for (const each of [upon, partly, none]) await catalog.recordManifest(pullOf(each))
    await catalog.recordBlob(blobOf('fresh'))
    const cold = async () => named((await catalog.listColdest({ limit: 9 })).images)
    t.strictSame(await cold(), ['none', 'partly'])
    const areUnclear = [upon, partly, none].map(({ digest }) => catalog.isUnclear(digest))
    t.strictSame(await Promise.all(areUnclear), [true, false, false])
    const eviction = { repository: alpine, reason: 'evicted', atMs: 50 } as const
    t.match(await catalog.evictImage({ ...eviction, digest: upon.digest }), { hasLeft: false })
    t.match(await catalog.evictImage({ ...eviction, digest: partly.digest }), { hasLeft: true })
    t.strictSame(await leaving(catalog), ['fresh', 'partly'])
    const purge = { ...eviction, digest: upon.digest, reason: 'purged' } as const
    t.strictSame((await catalog.footprint([purge])).digests, [])
    t.strictSame((await catalog.footprint([purge], { reason: 'purged' })).digests, [upon.digest])
    t.match(await catalog.evictImage(purge), { hasLeft: true }, 'who means it has it taken')
  })
}
