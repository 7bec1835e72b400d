// What comes to a port that speaks TLS and is none: a client that was told `http://` gets an answer
// that says so, where TLS alone would end the connection without a word. One look at the first byte
// of each connection; what it was, TLS reads again.
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { PLAIN_HTTP, rawAnswer } from '../client-error.ts'
import { LINGER_MS } from '../limits.ts'
import type { LimitUnsent } from '../send/unsent-limit.ts'

export interface FirstByteDeps {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly limitUnsent?: LimitUnsent | undefined
  /** A connection that says nothing for so long ends. */
  readonly limitMs: number
}

export interface FirstByte {
  /** Ends connections that have said nothing yet. */
  closeSilent(): void
  /** Ends all connections, in the middle of a handshake as well. */
  closeAll(): void
}

/** Methods are capital letters; a handshake begins with 22. */
const FIRST_LETTER = 'A'.charCodeAt(0)
const LAST_LETTER = 'Z'.charCodeAt(0)

/** To be called before anything else listens for connections of `server`. */
export function expectTls(server: Server, deps: FirstByteDeps): FirstByte {
  const open = new Set<Socket>()
  const silent = new Set<Socket>()
  const secure = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    silent.add(socket)
    const end = () => socket.destroy()
    // Whoever reads is told of errors, too, and there is nothing to say about them.
    socket.on('error', end)
    socket.setTimeout(deps.limitMs, end)
    socket.once('close', () => {
      open.delete(socket)
      silent.delete(socket)
    })
    socket.once('readable', () => {
      silent.delete(socket)
      socket.setTimeout(0, end)
      const first = socket.read(1) as Buffer | null
      if (first === null) return end()
      if (isLetter(first[0])) return refuse(socket, deps)
      socket.unshift(first)
      deps.limitUnsent?.(socket)
      for (const take of secure) take.call(server, socket)
    })
  })
  return { closeSilent: () => destroyAll(silent), closeAll: () => destroyAll(open) }
}

function destroyAll(sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) socket.destroy()
}

function isLetter(byte = 0): boolean {
  return byte >= FIRST_LETTER && byte <= LAST_LETTER
}

/**
 * What else comes is dropped for a moment: unread, it would reset the connection before the answer
 * is read.
 */
function refuse(socket: Socket, { clock, metrics }: FirstByteDeps): void {
  metrics.count('requestsRefused', { reason: 'plain' })
  const over = new AbortController()
  socket.once('close', () => over.abort())
  socket.resume()
  socket.end(rawAnswer(PLAIN_HTTP))
  clock.sleep(LINGER_MS, over.signal).then(
    () => socket.destroy(),
    () => {},
  )
}
