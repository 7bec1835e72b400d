// Goal: what is left of downloads that nobody goes on with goes while the edge runs, and not before
// its time (R276). Method: an edge that was stopped in the middle of a download; another one on its
// directory, whose clock the test moves.
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { filesIn } from '../../kit/worlds/edge-push.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { get } from '../../kit/clients/raw-client.ts'

const MiB = 1024 * 1024
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

t.test('R276: a part that nobody goes on with is swept while the edge runs', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const { edge: first, stub } = await startPair(t, { edge: { directory } })
  const young = patternBlob('young', 3 * MiB)
  const old = patternBlob('old', 3 * MiB)
  for (const [index, blob] of [young, old].entries()) {
    stub.addBlob('library/app', blob)
    stub.fault({ kind: 'blob' }, { stallAt: 2 * MiB })
    // Its client leaves; the download goes on.
    await get(`${first.url}${BLOBS}/${blob.digest}`, {}, { abortAfterBytes: 1 })
    while ((await filesIn(first, 'fills')).length < 2 * (index + 1)) await first.get('/v2/')
  }
  // Whoever is not done by then is cut off.
  await first.settle(first.stop())
  const partsOf = async ({ digest }: typeof old) =>
    (await filesIn(first, 'fills')).filter(name => name.includes(digest.slice('sha256:'.length)))
  const age = async (blob: typeof old, ageMs: number) => {
    const at = new Date(first.clock.nowMs() - ageMs)
    const parts = await partsOf(blob)
    t.equal(parts.length, 2)
    for (const name of parts) await utimes(join(first.dataDirectory, 'fills', name), at, at)
  }
  await age(young, 6 * DAY_MS)
  await age(old, 7 * DAY_MS - HOUR_MS / 12)
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } }, directory })
  t.equal((await partsOf(old)).length, 2, 'no start takes it')
  await edge.clock.advance(HOUR_MS)
  // The test's time limit ends both: the sweep is beside whoever looks.
  while ((await partsOf(old)).length > 0) await edge.get('/v2/')
  t.equal((await partsOf(young)).length, 2)
  edge.clock.jump(2 * DAY_MS)
  // One that is still under way does not count this hour.
  while ((await partsOf(young)).length > 0) await edge.clock.advance(HOUR_MS)
  t.same(await filesIn(edge, 'fills'), [])
})
