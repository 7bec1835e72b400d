// Goal: whoever pulls an index that lists very much, by many tags, keeps no push waiting. Method:
// the real catalog, and what little costs there next to much; of
// each the best of some tries, since others use the machine and its disk as well.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseTag } from '../../../src/oci/reference.ts'
import { alpine, layerEdge, manifestNamed, pullOf } from '../../contract/catalog-samples.ts'
import { openCatalog } from '../../kit/open-catalog.ts'

const CHILDREN = 10_000
const TAGS = 1_000
const TRIES = 5

async function open(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-uses-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return (await openCatalog(t, directory)).catalog
}

async function bestOf(tried: () => Promise<number>): Promise<number> {
  let bestMs = Number.POSITIVE_INFINITY
  for (let n = 0; n < TRIES; n += 1) bestMs = Math.min(bestMs, await tried())
  return bestMs
}

t.test('what an index lists is looked up once for all its tags', async t => {
  const catalog = await open(t)
  const edges = Array.from({ length: CHILDREN }, (_, at) =>
    layerEdge(`child ${at}`, { kind: 'manifest' }),
  )
  const index = manifestNamed('index', edges)
  await catalog.recordManifest(pullOf(index, { atMs: 1 }))
  const { digest } = index
  const noted = async (tags: number) => {
    const uses = Array.from({ length: tags }, (_, at) => {
      return { repository: alpine, digest, tag: parseTag(`t${at}`), count: 1, atMs: 2 }
    })
    const startedMs = performance.now()
    await catalog.noteUses(uses)
    return performance.now() - startedMs
  }
  const oneMs = await bestOf(() => noted(1))
  const manyMs = await bestOf(() => noted(TAGS))
  t.ok(manyMs < (oneMs * TAGS) / 10, `${oneMs} ms for one, ${manyMs} ms for ${TAGS}`)
  t.match(await catalog.usageOf(alpine, digest), { pulls: TRIES * (TAGS + 1) })
})

t.test('a tag that leaves an index does not look at all other tags for each child', async t => {
  const catalog = await open(t)
  const children = Array.from({ length: 300 }, (_, at) => `child ${at}`)
  const edges = children.map(name => layerEdge(name, { kind: 'manifest' }))
  const [index, next] = [manifestNamed('index', edges), manifestNamed('next')]
  await Promise.all(
    children.map(name => catalog.recordManifest(pullOf(manifestNamed(name), { atMs: 1 }))),
  )
  const tag = parseTag('moving')
  const moved = async () => {
    await catalog.recordManifest(pullOf(index, { tag, atMs: 2 }))
    const startedMs = performance.now()
    await catalog.recordManifest(pullOf(next, { tag, atMs: 3 }))
    return performance.now() - startedMs
  }
  const aloneMs = await bestOf(moved)
  const others = Array.from({ length: 10_000 }, (_, at) => parseTag(`t${at}`))
  await Promise.all(
    others.map(other => catalog.recordManifest(pullOf(next, { tag: other, atMs: 1 }))),
  )
  const besideMs = await bestOf(moved)
  t.ok(besideMs < aloneMs * 20, `${aloneMs} ms alone, ${besideMs} ms beside ${others.length}`)
})
