// How fast a client takes what it is sent, and whether it is still there: one set of listeners per
// streamed answer, none per chunk. Thousands may stand still for minutes, so that what few answers
// need is made for those alone.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { STALLED_READER_MS } from '../limits.ts'

/** MUST be released. */
export class ClientFlow {
  readonly #response: ServerResponse
  /**
   * Where `drain` is heard of: node tells the response no more of it once a CONNECT came behind the
   * request.
   */
  readonly #connection: Socket | ServerResponse
  /** Why nothing more is to be sent. */
  #left: Error | undefined
  #leaving: AbortController | undefined
  #waiting: PromiseWithResolvers<void> | undefined
  #onDrain: (() => void) | undefined
  /** Its listener, from the first wait for room on. */
  #tellDrained: (() => void) | undefined
  #isTimed = false

  constructor(response: ServerResponse) {
    this.#response = response
    this.#connection = response.socket ?? response
    response.on('close', this.#onClose)
    response.on('timeout', this.#onTimeout)
    if (response.destroyed) this.#onClose()
  }

  /** Aborts when the connection ends before the answer. */
  get signal(): AbortSignal {
    if (this.#leaving === undefined) {
      this.#leaving = new AbortController()
      if (this.#left !== undefined) this.#leaving.abort(this.#left)
    }
    return this.#leaving.signal
  }

  /** The connection has ended before the answer. */
  get gone(): boolean {
    return this.#left !== undefined
  }

  /**
   * Resolves when the connection's buffer has room again; rejects when the client left, or took
   * nothing for STALLED_READER_MS.
   */
  async drained(): Promise<void> {
    if (this.#tellDrained === undefined) {
      this.#tellDrained = () => this.#onDrain?.()
      this.#connection.on('drain', this.#tellDrained)
    }
    await this.#wait(done => {
      this.#onDrain = done
    })
  }

  /** Resolves when the kernel has all that node was given; rejects as `drained`. */
  async flushed(): Promise<void> {
    const { socket } = this.#response
    if (socket === null || socket.writableLength === 0) return
    await this.#wait(done => whenWritten(socket, done))
  }

  /** Takes the listeners away. */
  release(): void {
    if (this.#tellDrained !== undefined) this.#connection.off('drain', this.#tellDrained)
    this.#response.off('close', this.#onClose)
    this.#response.off('timeout', this.#onTimeout)
  }

  /** `begin` is given what ends the wait well. */
  async #wait(begin: (done: () => void) => void): Promise<void> {
    if (this.#left !== undefined) throw this.#left
    if (!this.#isTimed) {
      this.#isTimed = true
      this.#response.setTimeout(STALLED_READER_MS)
    }
    this.#waiting = Promise.withResolvers()
    const { promise, resolve } = this.#waiting
    begin(resolve)
    try {
      await promise
    } finally {
      this.#waiting = undefined
      this.#onDrain = undefined
    }
  }

  readonly #onClose = () => {
    if (this.#response.writableFinished) return
    this.#left = new Error('the client closed the connection')
    this.#leaving?.abort(this.#left)
    this.#waiting?.reject(this.#left)
  }

  /**
   * The timer runs out when nothing moved on the connection; that is the client's doing only while
   * bytes wait for it. Otherwise it begins anew: bytes may come to wait behind others, without a
   * write that would set it going.
   */
  readonly #onTimeout = () => {
    if (this.#waiting === undefined) this.#response.setTimeout(STALLED_READER_MS)
    else this.#response.destroy()
  }
}

/** All that `socket` was given so far. Of an error its `close` tells. */
function whenWritten(socket: Socket, done: () => void): void {
  socket.write('', error => {
    if (error === null || error === undefined) done()
  })
}
