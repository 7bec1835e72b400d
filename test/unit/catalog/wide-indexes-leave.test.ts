// Goal: what lists very much keeps nobody waiting while it is chosen to leave. Method: the real
// catalog; how often others have their turn, and how far down a list is looked.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import type { ColdPage, ColdPlace } from '../../../src/registry/ports/catalog-images.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  layerEdge,
  manifestNamed,
  pullOf,
} from '../../contract/catalog-samples.ts'
import { openCatalog } from '../../kit/open-catalog.ts'

const WIDE = 5_000
/** Looked up between two turns, at most. */
const ROWS_A_TURN = 256
const HELD = 2_500
/** In one look for the coldest. */
const LOOKED_AT_ONCE = 2_000

async function open(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-wide-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return (await openCatalog(t, directory)).catalog
}

const namesOf = (count: number) => Array.from({ length: count }, (_, at) => `listed ${at}`)

t.test('others have their turn while it is added up what a wide manifest frees', async t => {
  const catalog = await open(t)
  const names = namesOf(WIDE)
  const wide = manifestNamed(
    'wide',
    names.map(name => layerEdge(name)),
  )
  await catalog.recordManifest(pullOf(wide))
  await Promise.all(names.map(name => catalog.recordBlob(blobOf(name))))
  let [turns, isOver] = [0, false]
  const counting = (async () => {
    for (; !isOver; turns += 1) await nextTurn()
  })()
  const { digests } = await catalog.footprint([{ repository: alpine, digest: wide.digest }])
  isOver = true
  await counting
  t.equal(digests.length, WIDE + 1)
  t.ok(turns >= WIDE / ROWS_A_TURN, `${turns} turns`)
})

t.test('an index is not looked through for the one image far down that is here', async t => {
  const catalog = await open(t)
  const names = namesOf(WIDE)
  const edges = names.map(name => layerEdge(name, { kind: 'manifest' }))
  const [wide, first, last] = [
    manifestNamed('index', edges),
    manifestNamed('listed 0'),
    manifestNamed(`listed ${WIDE - 1}`),
  ]
  for (const [at, manifest] of [wide, first, last].entries())
    await catalog.recordManifest(pullOf(manifest, { atMs: at + 1 }))
  const coldest = async () =>
    (await catalog.listColdest({ limit: 9 })).images.map(each => each.digest)
  t.same(await coldest(), [first.digest, last.digest], 'with one at its beginning')
  const evicted = { repository: alpine, reason: 'evicted', atMs: 9 } as const
  await catalog.evictImage({ ...evicted, digest: first.digest })
  t.same(await coldest(), [last.digest], 'it has left with that')
  t.equal(await catalog.findManifest(alpine, wide.digest), undefined)
})

t.test('R441: a look for the coldest ends after some rows, and goes on behind them', async t => {
  const catalog = await open(t)
  const names = namesOf(HELD)
  await Promise.all([
    ...names.map(name => catalog.recordManifest(pullOf(manifestNamed(name), { atMs: 1 }))),
    catalog.lease({ repository: alpine, digests: names.map(digestNamed), untilMs: 60 }),
  ])
  const [first, last] = [manifestNamed('first'), manifestNamed('last')]
  await catalog.recordManifest(pullOf(first, { atMs: 0 }))
  await catalog.recordManifest(pullOf(last, { atMs: 2 }))
  const [found, pages] = await walk(catalog, 1)
  t.same(found, [first.digest, last.digest])
  // And one for each image.
  t.ok(pages > 2 + Math.floor(HELD / LOOKED_AT_ONCE), `${pages} looks`)
})

t.test('R441: so does one that comes by indexes, and each image is found once', async t => {
  const catalog = await open(t)
  const names = namesOf(40)
  for (const [at, name] of names.entries())
    await catalog.recordManifest(pullOf(manifestNamed(name), { atMs: at }))
  // Each lists the next twenty, and some that are not here.
  const edges = [...names, ...names].map(name => layerEdge(name, { kind: 'manifest' }))
  const absent = namesOf(WIDE)
    .slice(-200)
    .map(name => layerEdge(name, { kind: 'manifest' }))
  for (const [at, name] of names.entries())
    await catalog.recordManifest(
      pullOf(manifestNamed(`index of ${name}`, [...edges.slice(at, at + 20), ...absent]), {
        atMs: 100 - at,
      }),
    )
  const all = (await walk(catalog, 99))[0]
  t.same(all.toSorted(), names.map(digestNamed).sort())
  const warmths = await Promise.all(
    all.map(async digest => (await catalog.usageOf(alpine, digest))?.warmthMs ?? 0),
  )
  t.same(
    warmths,
    warmths.toSorted((a, b) => a - b),
  )
  const [one, pages] = await walk(catalog, 1)
  t.same(one, all, 'one at a time as well')
  t.ok(pages > names.length)
})

/** All images, by looks for so many at a time; and how many those were. */
async function walk(catalog: Catalog, limit: number): Promise<readonly [Digest[], number]> {
  const found: Digest[] = []
  let [pages, after]: [number, ColdPlace | undefined] = [0, undefined]
  do {
    const page: ColdPage = await catalog.listColdest({ limit, after })
    found.push(...page.images.map(({ digest }) => digest))
    after = page.next
    pages += 1
  } while (after !== undefined)
  return [found, pages]
}
