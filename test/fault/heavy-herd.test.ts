// Goal: as herd.test.ts, at the sizes that are promised, within the memory that is promised.
// Method: the same; peak memory is the kernel's VmHWM of the process, read after each herd.
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import {
  askedTwiceOrNever,
  faultOf,
  pullImage,
  stampede,
  stampedeHalfWay,
} from '../kit/clients/herd.ts'
import { makeImage } from '../kit/image.ts'
import { createBarrier } from '../kit/stubs/stub-faults.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

const MB = 1_000_000
const MIB = 1024 * 1024
/** The promise: 200 clients, or a gigabyte, in less than this. */
const MEMORY_MAX_BYTES = 250 * 1024 * 1024

t.setTimeout(900_000)

async function edgeAndStub(t: Pick<TestContext, 'teardown'>, entry: Record<string, unknown> = {}) {
  const stub = await startStub(t)
  const upstreams = { 'docker.io': { url: stub.url, http: true, ...entry } }
  // As many threads on every machine, so that the limit of memory means the same.
  const config = { log: { level: 'debug' }, http: { threads: 2 } }
  const edge = await startEdge({ upstreams, config })
  t.teardown(() => edge.stop())
  return { stub, edge }
}

type TestContext = typeof t

async function followedBy(
  t: Pick<TestContext, 'teardown' | 'same' | 'equal' | 'ok' | 'comment'>,
  { sizeBytes, clients, hashEvery }: { sizeBytes: number; clients: number; hashEvery: number },
) {
  const { stub, edge } = await edgeAndStub(t)
  const blob = patternBlob('heavy', sizeBytes)
  const wanted = { name: 'heavy', blob, clients, hashEvery }
  const herd = await stampedeHalfWay({ stub, edge }, wanted)
  herd.release()
  const faults = (await herd.all).flatMap(got => faultOf(got, blob) ?? [])
  t.same(faults, [])
  const asked = askedTwiceOrNever(stub.rangesAsked(blob.digest), sizeBytes)
  t.same(asked, { twiceBytes: 0, neverBytes: 0 })
  t.equal(stub.bytesSent(blob.digest), sizeBytes, '1.0 × at the upstream')
  const peakBytes = await edge.peakMemoryBytes()
  t.comment(`peak memory ${Math.round(peakBytes / 1024 / 1024)} MiB`)
  t.ok(peakBytes < MEMORY_MAX_BYTES, `peak memory ${peakBytes}`)
}

t.test('20 clients on 200 MB: each byte is asked for once', t =>
  followedBy(t, { sizeBytes: 200 * MB, clients: 20, hashEvery: 1 }),
)

t.test('20 clients on 1 GB: each byte is asked for once', t =>
  followedBy(t, { sizeBytes: 1000 * MB, clients: 20, hashEvery: 10 }),
)

t.test('200 clients on a cold blob that comes by parts: each byte is asked for once', async t => {
  const { stub, edge } = await edgeAndStub(t, { prefetch: false })
  const image = makeImage({ seed: 'heavy parts', layers: [16 * MIB] })
  const [blob] = image.layers
  if (blob === undefined) throw new Error('one layer')
  stub.addImage('library/heavy', 'v1', image)
  // It tells how long the blob is, without which it is asked for as a whole.
  await fetch(`${edge.url}/v2/library/heavy/manifests/v1`)
  // Most of it comes once all clients are there; one connection alone is slow, which makes more of
  // them pay.
  const barrier = createBarrier(MIB / 2)
  stub.fault(
    { kind: 'blob', method: 'GET', digest: blob.digest },
    { barrier, bytesPerSecond: 8 * MIB },
  )
  const url = `${edge.url}/v2/library/heavy/blobs/${blob.digest}`
  // Two hundred that read as fast as they can would keep the stub from sending, and a part that
  // stands still is asked for anew.
  const filled = edge.untilLogged(
    ({ msg, digest }) => msg === 'fill ended' && digest === blob.digest,
  )
  const herd = stampede(url, { clients: 200, goOn: filled })
  await Promise.all([barrier.reached, herd.allStarted])
  barrier.release()
  t.match(await filled, { outcome: 'stored' })
  const faults = (await herd.all).flatMap(got => faultOf(got, blob) ?? [])
  t.same(faults, [], 'every client has every byte')
  const ranges = stub.rangesAsked(blob.digest)
  t.ok(ranges.length > 2, `${ranges.length} parts`)
  t.same(askedTwiceOrNever(ranges, blob.sizeBytes), { twiceBytes: 0, neverBytes: 0 })
  t.equal(stub.bytesSent(blob.digest), blob.sizeBytes, '1.0 × at the upstream')
  const peakBytes = await edge.peakMemoryBytes()
  t.ok(peakBytes < MEMORY_MAX_BYTES, `peak memory ${peakBytes}`)
})

async function pulledBy200(
  t: Pick<TestContext, 'teardown' | 'same' | 'equal' | 'comment'>,
  { atOnce }: { atOnce: number },
): Promise<number> {
  const { stub, edge } = await edgeAndStub(t)
  const image = makeImage({ seed: 'heavy', layers: Array(10).fill(10 * MB) })
  stub.addImage('library/heavy', 'v1', image)
  const base = `${edge.url}/v2/library/heavy`
  const faults = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      pullImage(base, { tag: 'v1', image, hash: index % 10 === 0, atOnce }),
    ),
  )
  t.same(faults.flat(), [])
  for (const { digest, sizeBytes } of [image.config, ...image.layers]) {
    t.equal(stub.bytesSent(digest), sizeBytes)
  }
  t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 1)
  const peakBytes = await edge.peakMemoryBytes()
  t.comment(`peak memory ${Math.round(peakBytes / 1024 / 1024)} MiB`)
  return peakBytes
}

t.test(
  '200 clients on a cold image of 10 blobs and 100 MB: each byte is asked for once',
  async t => {
    const peakBytes = await pulledBy200(t, { atOnce: 1 })
    t.ok(peakBytes < MEMORY_MAX_BYTES, `peak memory ${peakBytes}`)
  },
)

t.test('200 clients with three blobs at a time: each byte is asked for once', async t => {
  const peakBytes = await pulledBy200(t, { atOnce: 3 })
  t.ok(peakBytes < MEMORY_MAX_BYTES, `peak memory ${peakBytes}`)
})
