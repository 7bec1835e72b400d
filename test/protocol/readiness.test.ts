// Goal: whoever asks whether this edge is ready is told of the parts that it really has: its disk, and that it is stopping. Method: the
// whole edge, whose data directory goes away, and which is stopped while a client still reads.
import { rename } from 'node:fs/promises'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS, startPair } from '../kit/edge-over-stub.ts'
import type { TestEdge } from '../kit/edge.ts'
import { get } from '../kit/raw-client.ts'
import { createBarrier } from '../kit/stub-faults.ts'

const MiB = 1024 * 1024

async function ready({ adminUrl }: TestEdge) {
  const { status, body } = await get(`${adminUrl}/readyz`)
  return { status, ...(JSON.parse(body.toString()) as object) }
}

t.test('an edge whose data directory is gone is not ready, until it is back', async t => {
  const { edge } = await startPair(t)
  t.equal((await ready(edge)).status, 200)
  const { dataDirectory } = edge
  await rename(dataDirectory, `${dataDirectory}.away`)
  const answer = await ready(edge)
  await rename(`${dataDirectory}.away`, dataDirectory)
  t.match(answer, { status: 503, checks: { store: { ok: false }, catalog: { ok: true } } })
  t.equal((await ready(edge)).status, 200)
})

t.test('an edge that is stopping is not ready while it finishes what is under way', async t => {
  const { edge, stub } = await startPair(t)
  const blob = patternBlob('stopping', 3 * MiB)
  stub.addBlob('library/app', blob)
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob' }, { barrier })
  const pulled = edge.get(`${BLOBS}/${blob.digest}`)
  await barrier.reached
  const stopped = edge.stop()
  const answer = await ready(edge)
  t.match(answer, { status: 503, checks: { store: { ok: true }, drain: { ok: false } } })
  barrier.release()
  t.ok((await edge.settle(pulled)).complete, 'and it finishes')
  await edge.settle(stopped)
})
