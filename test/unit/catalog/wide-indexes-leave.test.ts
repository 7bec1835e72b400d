// Goal: what lists very much keeps nobody waiting while it is chosen to leave. Method: the real
// catalog; how often others have their turn, and how far down a list is looked.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { alpine, blobOf, layerEdge, manifestNamed, pullOf } from '../../contract/catalog-samples.ts'
import { openCatalog } from '../../kit/open-catalog.ts'

const WIDE = 5_000
/** Looked up between two turns, at most. */
const ROWS_A_TURN = 256

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
  const coldest = async () => (await catalog.listColdest({ limit: 9 })).map(each => each.digest)
  t.same(await coldest(), [first.digest, last.digest], 'with one at its beginning')
  const evicted = { repository: alpine, reason: 'evicted', atMs: 9 } as const
  await catalog.evictImage({ ...evicted, digest: first.digest })
  t.same(await coldest(), [last.digest], 'it has left with that')
  t.equal(await catalog.findManifest(alpine, wide.digest), undefined)
})
