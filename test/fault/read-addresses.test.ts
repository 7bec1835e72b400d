// Goal: blobs that pass through the process are read to places in memory that the kernel copies to
// cheaply (ports/chunk-memory.ts). Method: the real process without the native sender, strace with
// the bare arguments of each read, and a blob of 8 MiB: of reads at a page of the file, the
// addresses must lie in their pages alike, and not 1 to 31 bytes behind the beginning. No time is
// taken: it would tell of the processor.
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { makeImage } from '../kit/image.ts'
import { get } from '../kit/clients/raw-client.ts'
import { straceProcess } from '../kit/disk/strace-process.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(300_000)

const MiB = 1024 * 1024
const PAGE_BYTES = 4096
/** What lies so little behind its page is slow; on it is not. */
const SLOW_BYTES = 32
const CLIENTS = 12
/** For the end of its blob each client may be lent memory that is not kept, which lies anywhere. */
const ALIKE_SHARE_MIN = 0.8

const image = makeImage({ seed: 'addresses', layers: [8 * MiB] })
const [blob] = image.layers
if (blob === undefined) throw new Error('one layer')

for (const threads of [1, 2]) {
  t.test(`reads go where copying is cheap, ${threads} threads`, async t => {
    const stub = await startStub(t)
    stub.addImage('library/app', 'v1', image)
    const edge = await startEdge({
      upstreams: { 'docker.io': { url: stub.url, http: true, ttl: '1h' } },
      config: { http: { threads } },
      env: { ENTREPOT_NATIVE: 'off' },
    })
    t.teardown(() => edge.stop())
    const blobUrl = `${edge.url}/v2/library/app/blobs/${blob.digest}`
    t.equal((await get(`${edge.url}/v2/library/app/manifests/v1`)).status, 200)
    t.equal((await get(blobUrl)).bodyBytes, blob.sizeBytes)

    const trace = await straceProcess(edge.pid, { calls: 'pread64', raw: true })
    const answers = await Promise.all(Array.from({ length: CLIENTS }, () => get(blobUrl)))
    const reads = (await trace.stop()).flatMap(parseRead)
    t.ok(answers.every(({ body }) => body.equals(blob.bytes())))
    const ofPages = reads.filter(
      ({ lengthBytes, position }) => lengthBytes >= PAGE_BYTES && position % PAGE_BYTES === 0,
    )
    const readBytes = ofPages.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
    t.equal(readBytes, CLIENTS * blob.sizeBytes, 'every byte was read for each client')
    const places = Map.groupBy(ofPages, ({ address }) => address % PAGE_BYTES)
    const [first] = [...places].toSorted(([, one], [, other]) => other.length - one.length)
    if (first === undefined) throw new Error('nothing was read')
    const [place, most] = first
    const told = `${most.length} of ${ofPages.length} reads lie ${place} bytes behind a page`
    t.ok(most.length > ofPages.length * ALIKE_SHARE_MIN, told)
    t.notOk(isSlow(place), told)
  })
}

function isSlow(behindPageBytes: number): boolean {
  return behindPageBytes > 0 && behindPageBytes < SLOW_BYTES
}

/** The line of a call that another thread's interrupted still has all that it was given. */
function parseRead(line: string) {
  const [, given] = /pread64\(([^)]*?)(?:\)| <unfinished)/.exec(line) ?? []
  const [, address, lengthBytes, position] = (given ?? '').split(', ').map(Number)
  if (address === undefined || lengthBytes === undefined || position === undefined) return []
  return [{ address, lengthBytes, position }]
}
