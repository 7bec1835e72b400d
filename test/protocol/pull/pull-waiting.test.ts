// Goal: more blobs at once than an upstream has places for are a matter of waiting: no client is
// told that a healthy upstream is down, and none takes a failure for a blob (R82–R85, R92). Method:
// a stub registry whose first blob is held back, one place, the whole edge.
import t from 'tap'
import { HEAD_HELD_BACK_MS } from '../../../src/http/limits.ts'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { makeImage } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { createBarrier } from '../../kit/stubs/stub-faults.ts'

const image = makeImage({ seed: 'queue', layers: [200_000, 300_000] })
const [first, second] = image.layers as [(typeof image.layers)[0], (typeof image.layers)[0]]

/**
 * One place, and a download in it that goes on when it is released. Nothing is fetched ahead, which
 * would be in that place.
 */
async function busyPair(t: Parameters<typeof startPair>[0]) {
  const pair = await startPair(t, { images: { v1: image }, entry: { fills: 1, prefetch: false } })
  await pair.edge.get(`${MANIFESTS}/v1`)
  const barrier = createBarrier(1_000)
  pair.stub.fault({ kind: 'blob', digest: first.digest }, { barrier })
  const running = pair.edge.get(`${BLOBS}/${first.digest}`)
  await barrier.reached
  // Its own head goes out, so that from now on it is the other one that is held back.
  await pair.edge.clock.untilSleepingFor(HEAD_HELD_BACK_MS)
  await pair.edge.clock.advance(HEAD_HELD_BACK_MS)
  return { ...pair, running, release: barrier.release }
}

t.test('a blob of an image has its head while it waits, and its bytes in its turn', async t => {
  const { edge, stub, running, release } = await busyPair(t)
  const waiting = edge.get(`${BLOBS}/${second.digest}`)
  await edge.clock.untilSleepingFor(HEAD_HELD_BACK_MS)
  await edge.clock.advance(HEAD_HELD_BACK_MS)
  t.equal(stub.count({ kind: 'blob', digest: second.digest }), 0, 'it waits')
  release()
  t.match(await waiting, {
    status: 200,
    complete: true,
    headers: { 'content-length': '300000', 'x-entrepot-source': 'miss' },
  })
  t.equal(Buffer.compare((await waiting).body, second.bytes()), 0)
  t.ok((await running).complete)
  t.equal(stub.count({ kind: 'blob', digest: second.digest, method: 'GET' }), 1)
})

t.test('a range of a blob that waits is right too', async t => {
  const { edge, running, release } = await busyPair(t)
  const waiting = edge.get(`${BLOBS}/${second.digest}`, { range: 'bytes=100-199,300-399' })
  const tail = edge.get(`${BLOBS}/${second.digest}`, { range: 'bytes=299000-' })
  await edge.clock.untilSleepingFor(HEAD_HELD_BACK_MS)
  release()
  t.match(await waiting, { status: 206, complete: true })
  t.ok((await waiting).body.includes(second.read(300, 100)))
  t.match(await tail, { status: 206, complete: true })
  t.same((await tail).body, second.read(299_000, 1_000))
  await running
})

t.test('R85: what the upstream refuses in its turn is a cut answer, and is logged', async t => {
  const { edge, stub, running, release } = await busyPair(t)
  stub.deleteBlob('library/app', second.digest)
  const waiting = edge.get(`${BLOBS}/${second.digest}`)
  await edge.clock.untilSleepingFor(HEAD_HELD_BACK_MS)
  await edge.clock.advance(HEAD_HELD_BACK_MS)
  release()
  t.match(await waiting, { status: 200, complete: false, bodyBytes: 0 })
  t.match(await edge.untilLogged('fill failed'), { digest: second.digest, outcome: 'failed' })
  const requests = edge.lines().filter(line => line['msg'] === 'request completed')
  t.match(
    requests.find(line => line['reference'] === second.digest),
    { status: 200, outcome: 'failed', sentBytes: 0, errorCode: 'BLOB_UNKNOWN' },
  )
  t.ok((await running).complete)
  t.equal((await edge.get(`${BLOBS}/${second.digest}`)).status, 404)
})

t.test('R85: what the upstream refuses while the head is held back is an error answer', async t => {
  const { edge, stub, running, release } = await busyPair(t)
  stub.deleteBlob('library/app', second.digest)
  const waiting = edge.get(`${BLOBS}/${second.digest}`)
  await edge.clock.untilSleepingFor(HEAD_HELD_BACK_MS)
  release()
  t.match(await waiting, { status: 404, complete: true })
  t.ok((await running).complete)
})

t.test(
  'R92: a blob that nobody told the length of is told that downloads wait, and when to come back',
  async t => {
    const { edge, stub, running, release } = await busyPair(t)
    const blob = patternBlob('of no manifest', 5_000)
    stub.addBlob('library/app', blob)
    const answer = await edge.settle(edge.get(`${BLOBS}/${blob.digest}`), 27_000)
    t.match(answer, { status: 503, complete: true, headers: { 'retry-after': '5' } })
    t.match(answer.body.toString(), /waiting/)
    t.notMatch(answer.body.toString(), /cannot be reached/)
    release()
    t.ok((await running).complete)
    t.equal(Buffer.compare((await edge.get(`${BLOBS}/${blob.digest}`)).body, blob.bytes()), 0)
  },
)

t.test('R52: a client that leaves while it waits ends no download', async t => {
  const { edge, running, release } = await busyPair(t)
  const leaving = new AbortController()
  const left = get(`${edge.url}${BLOBS}/${second.digest}`, {}, { signal: leaving.signal })
  await edge.clock.untilSleepingFor(HEAD_HELD_BACK_MS)
  leaving.abort()
  await left.catch(() => {})
  release()
  t.ok((await running).complete)
  const again = await edge.get(`${BLOBS}/${second.digest}`)
  t.equal(Buffer.compare(again.body, second.bytes()), 0)
})
