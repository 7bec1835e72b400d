// Connections that are opened before a request needs one: a blob's first byte then does not wait
// for TCP and TLS. They are given to the pool when it asks for a connection, and closed when it
// does not ask soon.
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'

/**
 * Servers close a connection without a request after ten seconds and more; what comes after a
 * manifest comes sooner.
 */
const KEPT_MS = 5_000
/** To all hosts together; what is over that is not opened. */
const SOCKETS_MAX = 32

export interface WarmSockets {
  /** In place of the connector that it was made with. */
  readonly connect: buildConnector.connector
  /**
   * Sees to it that so many connections to this origin are open or on their way. Never throws; what
   * fails is tried by the request.
   */
  warm(url: URL, count: number): void
  close(): void
}

export function createWarmSockets(connect: buildConnector.connector): WarmSockets {
  const open = new Map<string, Set<Socket>>()
  const coming = new Map<string, number>()
  let isClosed = false

  const countOf = (origin: string) => (open.get(origin)?.size ?? 0) + (coming.get(origin) ?? 0)
  const total = () =>
    [...new Set([...open.keys(), ...coming.keys()])].reduce((sum, each) => sum + countOf(each), 0)

  function take(origin: string): Socket | undefined {
    const sockets = open.get(origin)
    const [socket] = sockets ?? []
    if (socket === undefined) return undefined
    sockets?.delete(socket)
    if (sockets?.size === 0) open.delete(origin)
    socket.setTimeout(0)
    return socket
  }

  function keep(origin: string, socket: Socket): void {
    const sockets = open.get(origin) ?? new Set()
    open.set(origin, sockets.add(socket))
    const forget = (): void => {
      sockets.delete(socket)
      if (open.get(origin)?.size === 0) open.delete(origin)
    }
    socket.once('close', forget)
    // Whoever is given it has listeners of its own; until then a reset is no news to anybody.
    socket.once('error', forget)
    socket.setTimeout(KEPT_MS, () => {
      if (sockets.has(socket)) socket.destroy()
    })
  }

  function begin(origin: string, url: URL): void {
    coming.set(origin, (coming.get(origin) ?? 0) + 1)
    const { hostname, host, protocol, port } = url
    connect({ hostname, host, protocol, port }, (error, socket) => {
      const left = (coming.get(origin) ?? 1) - 1
      if (left === 0) coming.delete(origin)
      else coming.set(origin, left)
      if (error !== null) return
      if (isClosed) socket.destroy()
      else keep(origin, socket)
    })
  }

  return {
    connect: (target, callback) => {
      const socket = take(`${target.protocol}//${target.host ?? target.hostname}`)
      if (socket === undefined) connect(target, callback)
      // Not at once: a pool takes no connection while it asks for one.
      else queueMicrotask(() => callback(null, socket))
    },
    warm: (url, count) => {
      const { origin } = url
      while (countOf(origin) < count && total() < SOCKETS_MAX) begin(origin, url)
    },
    close: () => {
      isClosed = true
      for (const sockets of open.values()) for (const socket of sockets) socket.destroy()
    },
  }
}
