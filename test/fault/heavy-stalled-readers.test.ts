// Goal: readers that stop reading cost a bounded part of their blob each, in this process and in
// the kernel, and hold up nobody else: manifests and further readers are served meanwhile. Method:
// the real process, 200 connections that read the first bytes of an answer of 64 MiB and no more;
// what waits for them is what /proc/net/tcp says of the server's sockets.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { type EdgeOptions, startEdge } from '../kit/worlds/edge-process.ts'
import { makeImage } from '../kit/image.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { openConnection } from '../kit/over-tls.ts'
import { get } from '../kit/clients/raw-client.ts'
import { queuedToSend } from '../kit/disk/socket-queues.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(600_000)
requireSendfile()

const MiB = 1024 * 1024
const STALLED = 200
/**
 * As promised for 200 clients on one blob (heavy-herd.test.ts): some hundred KiB for each beside
 * what the process takes anyway.
 */
const MEMORY_MAX_BYTES = 250 * MiB
/**
 * 128 KiB for each, and up to 4 MiB for those that began when there were few (native/sender.c), 79
 * MiB in all. The kernel's own limit, 4 MiB for each, is what bounds those without it.
 */
const UNSENT_MAX_BYTES = 100 * MiB
/**
 * A mebibyte for the first ones down to some 300 KiB for the last (http/send/unsent-limit.ts), and
 * what is under way.
 */
const UNSENT_OVER_TLS_MAX_BYTES = 200 * MiB

const image = makeImage({ seed: 'stalled', layers: [64 * MiB] })
const [blob] = image.layers
if (blob === undefined) throw new Error('one layer')

const stub = await startStub(t)
stub.addImage('library/app', 'v1', image)

interface Way {
  readonly way: string
  readonly options: EdgeOptions
  readonly unsentMaxBytes: number
}

const WAYS: readonly Way[] = [
  { way: 'by sendfile', options: {}, unsentMaxBytes: UNSENT_MAX_BYTES },
  {
    way: 'without the native sender',
    options: { env: { ENTREPOT_NATIVE: 'off' } },
    unsentMaxBytes: Number.POSITIVE_INFINITY,
  },
  { way: 'over TLS', options: { tls: true }, unsentMaxBytes: UNSENT_OVER_TLS_MAX_BYTES },
]

/** Asks, sees the first bytes, and takes no more of them than its own buffers do. */
async function stall(url: string, path: string): Promise<Socket> {
  const socket = await openConnection(url)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`)
  await once(socket, 'readable')
  return socket
}

for (const { way, options, unsentMaxBytes } of WAYS) {
  t.test(`${STALLED} readers that stopped, ${way}`, async t => {
    const edge = await startEdge({
      upstreams: { 'docker.io': { url: stub.url, http: true, ttl: '1h' } },
      ...options,
      // Nobody waits for a place, so that nobody is cut for one; and the limit means the same on
      // every machine.
      config: { http: { streams: 2 * STALLED, threads: 1 } },
    })
    t.teardown(() => edge.stop())
    const base = `${edge.url}/v2/library/app`
    const blobPath = `/v2/library/app/blobs/${blob.digest}`
    t.equal((await get(`${base}/manifests/v1`)).status, 200)
    t.equal((await get(`${edge.url}${blobPath}`)).bodyBytes, blob.sizeBytes)

    const sockets: Socket[] = []
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
    })
    for (let count = 0; count < STALLED; count += 1) sockets.push(await stall(edge.url, blobPath))

    const manifest = await get(`${base}/manifests/v1`)
    t.ok(manifest.body.equals(image.manifest.bytes), 'a manifest is given')
    const other = await get(`${edge.url}${blobPath}`)
    t.ok(other.body.equals(blob.bytes()), 'and the blob to one who reads')

    const queued = await queuedToSend(Number(new URL(edge.url).port))
    t.equal(queued.length, STALLED, 'bytes wait for each of those that stopped')
    const unsentBytes = queued.reduce((sum, bytes) => sum + bytes, 0)
    t.ok(unsentBytes < unsentMaxBytes, `${unsentBytes} bytes wait in the kernel`)
    const peakBytes = await edge.peakMemoryBytes()
    t.ok(peakBytes < MEMORY_MAX_BYTES, `peak memory ${peakBytes}`)
    t.comment(`${inMiB(unsentBytes)} MiB wait in the kernel, peak memory ${inMiB(peakBytes)} MiB`)
  })
}

function inMiB(bytes: number): number {
  return Math.round(bytes / MiB)
}
