// How fast a client takes what it is sent, and whether it is still there: one set of listeners per
// streamed answer, none per chunk.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { STALLED_READER_MS } from '../limits.ts'

export interface ClientFlow {
  /** Aborts when the connection ends before the answer. */
  readonly signal: AbortSignal
  readonly gone: boolean
  /**
   * Resolves when the connection's buffer has room again; rejects when the client left, or took
   * nothing for STALLED_READER_MS.
   */
  drained(): Promise<void>
  /** Resolves when the kernel has all that node was given; rejects as `drained`. */
  flushed(): Promise<void>
  /** Takes the listeners away. */
  release(): void
}

export function createClientFlow(response: ServerResponse): ClientFlow {
  const leaving = new AbortController()
  let waiting: PromiseWithResolvers<void> | undefined
  let onDrain: (() => void) | undefined
  let watched = false

  const tellDrained = () => onDrain?.()
  const onClose = () => {
    if (response.writableFinished) return
    const reason = new Error('the client closed the connection')
    leaving.abort(reason)
    waiting?.reject(reason)
  }
  // The timer runs out when nothing moved on the connection; that is the client's doing only while
  // bytes wait for it. Otherwise it begins anew: bytes may come to wait behind others, without a
  // write that would set it going.
  const onTimeout = () => {
    if (waiting === undefined) response.setTimeout(STALLED_READER_MS)
    else response.destroy()
  }
  // Heard of by the connection itself: node tells the response no more of it once a CONNECT came
  // behind the request.
  const connection = response.socket ?? response
  connection.on('drain', tellDrained)
  response.on('close', onClose)
  response.on('timeout', onTimeout)
  if (response.destroyed) onClose()

  /** `begin` is given what ends the wait well. */
  async function wait(begin: (done: () => void) => void): Promise<void> {
    if (leaving.signal.aborted) throw leaving.signal.reason
    if (!watched) {
      watched = true
      response.setTimeout(STALLED_READER_MS)
    }
    waiting = Promise.withResolvers()
    const { promise, resolve } = waiting
    begin(resolve)
    try {
      await promise
    } finally {
      waiting = undefined
      onDrain = undefined
    }
  }

  return {
    signal: leaving.signal,
    get gone() {
      return leaving.signal.aborted
    },
    drained: () =>
      wait(done => {
        onDrain = done
      }),
    async flushed() {
      const { socket } = response
      if (socket === null || socket.writableLength === 0) return
      await wait(done => whenWritten(socket, done))
    },
    release() {
      connection.off('drain', tellDrained)
      response.off('close', onClose)
      response.off('timeout', onTimeout)
    },
  }
}

/** All that `socket` was given so far. Of an error its `close` tells. */
function whenWritten(socket: Socket, done: () => void): void {
  socket.write('', error => {
    if (error === null || error === undefined) done()
  })
}
