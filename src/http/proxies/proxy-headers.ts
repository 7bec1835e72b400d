// Connections of listed proxies that begin with a PROXY header: it is read and taken away before
// anything else hears of them, TLS too. Nobody else's are looked at. One that is broken, late or
// missing where it is required ends its connection.
import type { Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Logger } from '../../observe/log.ts'
import type { Metrics } from '../../observe/metrics.ts'
import { createOnceAMinute, type OnceAMinute } from '../../observe/once-a-minute.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Callers } from './callers.ts'
import { UNKNOWN } from './node-name.ts'
import { readProxyHeader } from './proxy-header.ts'

export interface ProxyHeadersDeps {
  readonly callers: Callers
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * A proxy sends it with the connection. What is lost on the way comes again within three seconds,
 * and once more within nine.
 */
export const PROXY_HEADER_MAX_MS = 10_000

const MISSING = 'there is none'
const LATE = 'it did not come in time'
const CUT = 'the connection ended before it'
const HINT =
  'what comes from an address of http.trustedproxies begins with a PROXY header, by http.proxyprotocol: tell the proxy to send one, or list no more than proxies'

export class ProxyHeaders {
  readonly #deps: ProxyHeadersDeps
  readonly #due: OnceAMinute
  readonly #waiting = new Set<Socket>()
  readonly #take: (socket: Socket) => void

  /** To be made when all that listens for connections of `server` does. */
  constructor(server: Server | HttpsServer, deps: ProxyHeadersDeps) {
    this.#deps = deps
    this.#due = createOnceAMinute(() => deps.clock.monotonicMs())
    const takers = server.listeners('connection') as ((socket: Socket) => void)[]
    this.#take = socket => {
      for (const take of takers) take.call(server, socket)
    }
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => this.#opened(socket))
  }

  /** Ends connections whose header has not come yet. */
  closeWaiting(): void {
    for (const socket of this.#waiting) socket.destroy()
  }

  #opened(socket: Socket): void {
    const { callers } = this.#deps
    const { protocol } = callers.settings
    if (protocol === 'none' || !callers.isTrusted(socket.remoteAddress)) return this.#take(socket)
    this.#read(socket, protocol)
  }

  #read(socket: Socket, protocol: 'optional' | 'required'): void {
    let bytes: Buffer = Buffer.alloc(0)
    const over = new AbortController()
    const leave = () => {
      over.abort()
      this.#waiting.delete(socket)
      socket.off('readable', look).off('end', cut).off('error', fail).off('close', leave)
    }
    const fail = () => {
      leave()
      socket.destroy()
    }
    const refuse = (why: string) => {
      // Of who says nothing there is nothing to tell: balancers look so whether somebody listens.
      if (bytes.length > 0) this.#noteRefused(socket.remoteAddress, why)
      fail()
    }
    const cut = () => refuse(CUT)
    const pass = (rest: Buffer) => {
      leave()
      if (rest.length > 0) socket.unshift(rest)
      this.#take(socket)
    }
    const look = () => {
      const piece = socket.read() as Buffer | null
      // At its end, which is told by itself.
      if (piece === null) return
      bytes = Buffer.concat([bytes, piece])
      const found = readProxyHeader(bytes)
      if (found.kind === 'broken') return refuse(found.reason)
      if (found.kind === 'none') return protocol === 'optional' ? pass(bytes) : refuse(MISSING)
      if (found.kind === 'more') return
      const { callers } = this.#deps
      callers.announce(socket, found.address ?? socket.remoteAddress ?? UNKNOWN)
      pass(bytes.subarray(found.lengthBytes))
    }
    this.#waiting.add(socket)
    socket.on('readable', look).on('end', cut).on('error', fail).on('close', leave)
    this.#deps.clock.sleep(PROXY_HEADER_MAX_MS, over.signal).then(
      () => refuse(LATE),
      () => {},
    )
  }

  #noteRefused(address: string | undefined, why: string): void {
    const { logger, metrics } = this.#deps
    metrics.count('requestsRefused', { reason: 'proxy' })
    const held = this.#due(address ?? '')
    if (held === undefined) return
    logger.warn({ proxy: address, why, held, hint: HINT }, 'a PROXY header is not good')
  }
}
