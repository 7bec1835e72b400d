// A stretch of network in front of an upstream, in a process of its own: takes connections and
// passes bytes on with a delay. usage: forked by link.ts, with the address to listen on and the
// port to pass on to, on loopback.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface LinkSettings {
  /**
   * There and back. No byte of a connection goes on its way before its handshake, which takes as
   * long from when it was opened. Default 0.
   */
  readonly roundTripMs?: number | undefined
}

export type LinkCall = { readonly call: 'set'; readonly settings: LinkSettings }

/**
 * More than a delay of 40 ms at 50 MB/s holds; beyond it the sender waits, as behind a full window.
 */
const QUEUED_BYTES_MAX = 8 * 1024 * 1024

let settings: LinkSettings = {}

const [host = '127.0.0.1', upstreamPort = '0'] = process.argv.slice(2)
const server = createServer(
  { noDelay: true, pauseOnConnect: true, allowHalfOpen: true },
  client => {
    const toUpstream = { host: '127.0.0.1', port: Number(upstreamPort) }
    const upstream = connect({ ...toUpstream, noDelay: true, allowHalfOpen: true })
    const openAtMs = performance.now() + (settings.roundTripMs ?? 0)
    pass(client, upstream, openAtMs)
    pass(upstream, client, openAtMs)
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
function pass(from: Socket, to: Socket, openAtMs: number): void {
  const queue: Piece[] = []
  let queuedBytes = 0
  let ended = false
  let timer: NodeJS.Timeout | undefined

  const flow = () => {
    if (queuedBytes + to.writableLength < QUEUED_BYTES_MAX) from.resume()
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
    const sentAtMs = Math.max(performance.now(), openAtMs)
    queue.push({ bytes, atMs: sentAtMs + (settings.roundTripMs ?? 0) / 2 })
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
