// Goal: whoever pulls an index that lists very much, or moves its tag, keeps no push waiting.
// Method: the real catalog, and how many of its rows change; and what little costs there next to
// much, of each the best of some tries, since others use the machine and its disk as well.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseTag } from '../../../src/oci/reference.ts'
import {
  alpine,
  digestNamed,
  layerEdge,
  manifestNamed,
  pullOf,
  secret,
} from '../../contract/catalog-samples.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'

const CHILDREN = 2_000
const TRIES = 5

async function open(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-uses-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return { directory, ...(await openCatalog(t, directory)) }
}

async function bestOf(tried: () => Promise<number>): Promise<number> {
  let bestMs = Number.POSITIVE_INFINITY
  for (let n = 0; n < TRIES; n += 1) bestMs = Math.min(bestMs, await tried())
  return bestMs
}

t.test('R440: a use of an index writes its row, whatever it lists', async t => {
  const { catalog, directory } = await open(t)
  const names = Array.from({ length: CHILDREN }, (_, at) => `child ${at}`)
  const index = manifestNamed(
    'index',
    names.map(name => layerEdge(name, { kind: 'manifest' })),
  )
  await catalog.recordManifest(pullOf(index, { atMs: 1 }))
  await Promise.all(
    names.map(name => catalog.recordManifest(pullOf(manifestNamed(name), { atMs: 1 }))),
  )
  await catalog.noteUses([{ repository: alpine, digest: index.digest, count: 1, atMs: 2 }])
  const [written] = queryBeside(
    directory,
    'SELECT count(*) FROM repository_content WHERE used_at > 1 OR warmth > 1',
  )
  t.equal(written, 1)
  const usageOf = (name: string) => catalog.usageOf(alpine, digestNamed(name))
  t.match(
    await usageOf('child 0'),
    { usedAtMs: 2, warmthMs: 2, pulls: 0 },
    'it is used all the same',
  )
  t.match(await usageOf(`child ${CHILDREN - 1}`), { usedAtMs: 1, warmthMs: 1 }, 'too far down')
})

t.test('R440: nor does a tag that leaves it cool more than is looked at', async t => {
  const { catalog, directory } = await open(t)
  const names = Array.from({ length: 300 }, (_, at) => `child ${at}`)
  const index = manifestNamed(
    'index',
    names.map(name => layerEdge(name, { kind: 'manifest' })),
  )
  const tag = parseTag('moving')
  await Promise.all(
    names.map(name => catalog.recordManifest(pullOf(manifestNamed(name), { atMs: 1 }))),
  )
  await catalog.recordManifest(pullOf(index, { tag, atMs: 1 }))
  await catalog.recordManifest(pullOf(manifestNamed('next'), { tag, atMs: 1 }))
  const cold = queryBeside(directory, 'SELECT count(*) FROM repository_content WHERE warmth < 0')
  t.strictSame(cold, [1 + 256])
})

t.test('a tag that leaves an index does not look at all other tags for each child', async t => {
  const { catalog } = await open(t)
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

t.test('R775: who lists an image elsewhere takes no uses from it here', async t => {
  const { catalog } = await open(t)
  const edges = [layerEdge('child', { kind: 'manifest' })]
  const index = manifestNamed('index', edges)
  await catalog.recordManifest(pullOf(manifestNamed('child'), { atMs: 1 }))
  await catalog.recordManifest(pullOf(index, { atMs: 1 }))
  await catalog.noteUses([{ repository: alpine, digest: index.digest, count: 1, atMs: 2 }])
  // Newer, and more than are asked of one repository.
  const elsewhere = Array.from({ length: 300 }, (_, at) => manifestNamed(`stranger ${at}`, edges))
  await Promise.all(
    elsewhere.map(each => catalog.recordManifest(pullOf(each, { repository: secret, atMs: 3 }))),
  )
  t.match(await catalog.usageOf(alpine, digestNamed('child')), { usedAtMs: 2, warmthMs: 2 })
})
