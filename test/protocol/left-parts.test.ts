// Goal: what is left of downloads that nobody goes on with goes while the edge runs, and not before its time (R276). Method: an edge that
// was stopped in the middle of a download; another one on its directory, whose clock the test moves.
// issue 17, 26
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS, startPair } from '../kit/edge-over-stub.ts'
import { filesIn } from '../kit/edge-push.ts'
import { startTestEdge } from '../kit/edge.ts'
import { get } from '../kit/raw-client.ts'

const MiB = 1024 * 1024
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The sweep is beside whoever asks. */
const LOOKS_MAX = 1_000

t.test('R276: a part that nobody goes on with is swept while the edge runs', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const { edge: first, stub } = await startPair(t, { edge: { directory } })
  const blob = patternBlob('left', 3 * MiB)
  stub.addBlob('library/app', blob)
  stub.fault({ kind: 'blob' }, { stallAt: 2 * MiB })
  // Its client leaves; the download goes on.
  await get(`${first.url}${BLOBS}/${blob.digest}`, {}, { abortAfterBytes: 1 })
  while ((await filesIn(first, 'fills')).length < 2) await first.get('/v2/')
  // Whoever is not done by then is cut off.
  await first.settle(first.stop())
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } }, directory })
  const parts = await filesIn(edge, 'fills')
  t.equal(parts.length, 2)
  const age = async (days: number) => {
    const at = new Date(edge.clock.nowMs() - days * DAY_MS)
    for (const name of parts) await utimes(join(edge.dataDirectory, 'fills', name), at, at)
    await edge.clock.advance(HOUR_MS)
  }
  await age(6)
  await age(6)
  t.equal((await filesIn(edge, 'fills')).length, 2)
  await age(8)
  let left = parts.length
  for (let looks = 0; looks < LOOKS_MAX && left > 0; looks += 1) {
    await edge.get('/v2/')
    left = (await filesIn(edge, 'fills')).length
  }
  t.equal(left, 0)
})
