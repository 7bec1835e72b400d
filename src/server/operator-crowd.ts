// Who is connected to the operator's API over the network, and for whom there is no place: so that
// whoever opens connections and says nothing keeps no operator out, and is not unseen.
import type { Server, Socket } from 'node:net'
import { siteOf } from '../access/network.ts'
import { endsOf } from '../http/connection-ends.ts'

/** Operators and their programs. */
export const CONNECTIONS_MAX = 256

interface Guest {
  readonly socket: Socket
  readonly site: string
}

export class OperatorCrowd {
  readonly #cut: (address: string | undefined) => void
  /** By the ends of a connection, the oldest first. */
  readonly #guests = new Map<string, Guest>()
  /** Those over which somebody came who may. */
  readonly #letIn = new Set<string>()
  #isClosed = false

  /** `cut`: a connection had to go, which is from there. */
  constructor(cut: (address: string | undefined) => void) {
    this.#cut = cut
  }

  /** To be told before anybody else is of the connections of `server`. */
  watch(server: Server): void {
    server.prependListener('connection', (socket: Socket) => this.#take(socket))
  }

  /** Of a connection, or of what speaks TLS over it. */
  letIn(socket: Socket): void {
    const ends = endsOf(socket)
    if (this.#guests.has(ends)) this.#letIn.add(ends)
  }

  /** Ends all of them, in the middle of a handshake as well, and whatever comes yet. */
  closeAll(): void {
    this.#isClosed = true
    for (const { socket } of this.#guests.values()) socket.destroy()
  }

  #take(socket: Socket): void {
    if (this.#isClosed) return void socket.destroy()
    const ends = endsOf(socket)
    const guest = { socket, site: siteOf(socket.remoteAddress ?? '') }
    this.#guests.set(ends, guest)
    socket.once('close', () => {
      if (this.#guests.get(ends) !== guest) return
      this.#guests.delete(ends)
      this.#letIn.delete(ends)
    })
    if (this.#guests.size > CONNECTIONS_MAX) this.#cutOne()
  }

  /**
   * Of those who were not let in yet the oldest of whoever has most: one address alone pushes out
   * nobody else.
   */
  #cutOne(): void {
    const strangers = [...this.#guests].filter(([ends]) => !this.#letIn.has(ends))
    const counts = new Map<string, number>()
    for (const [, { site }] of strangers) counts.set(site, (counts.get(site) ?? 0) + 1)
    const most = Math.max(...counts.values())
    const found = strangers.find(([, { site }]) => counts.get(site) === most)
    if (found === undefined) return
    const [ends, { socket }] = found
    this.#cut(socket.remoteAddress)
    // At once: the next one may come before it is closed.
    this.#guests.delete(ends)
    socket.destroy()
  }
}
