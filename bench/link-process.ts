// A stretch of network in front of an upstream, in a process of its own: takes connections, passes bytes on, and gives each connection
// a rate of its own, as networks of registries do, and a delay. usage: forked by link.ts, with the address to listen on and the port
// to pass on to, on loopback.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface LinkSettings {
  /** What each connection may carry towards the client; undefined: as fast as it comes. */
  readonly bytesPerSecond?: number | undefined
  /** There and back. The first bytes of a connection wait once more, for its handshake. Default 0. */
  readonly roundTripMs?: number | undefined
}

export type LinkCall = { readonly call: 'set'; readonly settings: LinkSettings }

/** More than a delay of 40 ms at 50 MB/s holds; beyond it the sender waits, as behind a full window. */
const QUEUED_BYTES_MAX = 8 * 1024 * 1024
/** A limited connection hands on pieces of this size, which is what one read brings: at 10 MB/s one takes 6 ms. */
const PIECE_BYTES = 64 * 1024
/** A limited connection holds so much, so that little is sent that nobody will read. */
const QUEUED_SECONDS = 0.1

/** First byte of a client that tries TLS first. It goes on without when it is told so by an answer, and gives up when it is cut off. */
const TLS_HANDSHAKE = 0x16
const NO_TLS_HERE = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

let settings: LinkSettings = {}

const [host = '127.0.0.1', upstreamPort = '0'] = process.argv.slice(2)
const server = createServer(
  { noDelay: true, pauseOnConnect: true, allowHalfOpen: true },
  client => {
    const toUpstream = { host: '127.0.0.1', port: Number(upstreamPort) }
    const upstream = connect({ ...toUpstream, noDelay: true, allowHalfOpen: true })
    client.once('data', (bytes: Buffer) => {
      if (bytes[0] === TLS_HANDSHAKE) client.end(NO_TLS_HERE)
    })
    pass(client, upstream, { handshakes: 1, isLimited: false })
    pass(upstream, client, { handshakes: 0, isLimited: true })
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
  },
)

process.on('message', ({ id, settings: wanted }: { id: number } & LinkCall) => {
  settings = wanted
  process.send?.({ id, result: null })
})
process.once('disconnect', () => process.exit())
server.listen(0, host, 4096, () => {
  process.send?.({ id: 0, result: (server.address() as AddressInfo).port })
})

interface Piece {
  readonly bytes: Buffer
  readonly atMs: number
}

/** One direction: what comes is handed on when its time has come, in order. */
function pass(
  from: Socket,
  to: Socket,
  { handshakes, isLimited }: { readonly handshakes: number; readonly isLimited: boolean },
): void {
  const queue: Piece[] = []
  let queuedBytes = 0
  let freeMs = 0
  let extraMs = handshakes * (settings.roundTripMs ?? 0)
  let ended = false
  let timer: NodeJS.Timeout | undefined

  const rate = () => (isLimited ? settings.bytesPerSecond : undefined)
  const flow = () => {
    const limit = rate()
    const most = limit === undefined ? QUEUED_BYTES_MAX : limit * QUEUED_SECONDS
    if (queuedBytes + to.writableLength < most) from.resume()
    else from.pause()
  }
  const handOn = () => {
    timer = undefined
    const nowMs = performance.now()
    for (let first = queue[0]; first !== undefined && first.atMs <= nowMs; first = queue[0]) {
      queue.shift()
      queuedBytes -= first.bytes.length
      to.write(first.bytes)
    }
    const [next] = queue
    if (next !== undefined) timer = setTimeout(handOn, next.atMs - nowMs)
    else if (ended) to.end()
    flow()
  }
  from.on('data', (bytes: Buffer) => {
    const nowMs = performance.now()
    const delayMs = (settings.roundTripMs ?? 0) / 2 + extraMs
    extraMs = 0
    const limit = rate()
    const step = limit === undefined ? bytes.length : PIECE_BYTES
    for (let at = 0; at < bytes.length; at += step) {
      const piece = bytes.subarray(at, at + step)
      if (limit !== undefined) freeMs = Math.max(freeMs, nowMs) + (piece.length / limit) * 1000
      queue.push({ bytes: piece, atMs: Math.max(freeMs, nowMs) + delayMs })
    }
    queuedBytes += bytes.length
    if (timer === undefined) handOn()
    else flow()
  })
  from.on('end', () => {
    ended = true
    if (queue.length === 0) to.end()
  })
  to.on('drain', flow)
  from.resume()
}
