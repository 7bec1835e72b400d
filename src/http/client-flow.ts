// How fast a client takes what it is sent, and whether it is still there: one set of listeners per streamed answer, none per chunk.
import type { ServerResponse } from 'node:http'
import { STALLED_READER_MS } from './limits.ts'

export interface ClientFlow {
  /** Aborts when the connection ends before the answer. */
  readonly signal: AbortSignal
  readonly gone: boolean
  /** Resolves when the connection's buffer has room again; rejects when the client left, or took nothing for STALLED_READER_MS. */
  drained(): Promise<void>
  /** Takes the listeners away. */
  release(): void
}

export function createClientFlow(response: ServerResponse): ClientFlow {
  const leaving = new AbortController()
  let waiting: PromiseWithResolvers<void> | undefined
  let watched = false

  const onDrain = () => waiting?.resolve()
  const onClose = () => {
    if (response.writableFinished) return
    const reason = new Error('the client closed the connection')
    leaving.abort(reason)
    waiting?.reject(reason)
  }
  // The timer runs out when nothing moved on the connection; that is the client's doing only while bytes wait for it.
  const onTimeout = () => {
    if (waiting !== undefined) response.destroy()
  }
  response.on('drain', onDrain)
  response.on('close', onClose)
  if (response.destroyed) onClose()

  return {
    signal: leaving.signal,
    get gone() {
      return leaving.signal.aborted
    },
    async drained() {
      if (leaving.signal.aborted) throw leaving.signal.reason
      if (!watched) {
        watched = true
        response.setTimeout(STALLED_READER_MS, onTimeout)
      }
      waiting = Promise.withResolvers()
      try {
        await waiting.promise
      } finally {
        waiting = undefined
      }
    },
    release() {
      response.off('drain', onDrain)
      response.off('close', onClose)
    },
  }
}
