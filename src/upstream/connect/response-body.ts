// The body of one answer. Every path must read it to its end or destroy it: an unread body keeps
// its connection from being used again, and everybody who waits for one (idioms, undici trap 1).
import type { Dispatcher } from 'undici'
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { connectionError } from './errors.ts'
import { startStallWatchdog } from './stall-watchdog.ts'

/** Above this, ending the connection is cheaper than reading a body that nobody wants. */
const DRAIN_BYTES_MAX = 64 * 1024
/**
 * Bytes are reported in batches: a report for each piece of 64 KiB would be most of the events
 * there are.
 */
const REPORT_BYTES = 1024 * 1024

export interface ResponseBody {
  /**
   * Bytes as they come. Ends normally only after `lengthBytes`, when that is known.
   * @throws UpstreamError unavailable, invalid
   */
  read(lengthBytes: number | undefined): AsyncGenerator<Uint8Array, void>
  /**
   * Everything, at most `limitBytes`.
   * @throws UpstreamError invalid when there is more, and ends the connection
   */
  readAll(limitBytes: number): Promise<Uint8Array>
  /** Reads and forgets a small body, ends the connection of a large one. Never rejects. */
  drain(): Promise<void>
  /** Ends the connection. */
  destroy(): void
  /**
   * `listener` is called when the body was read, drained or destroyed; at once when it was already.
   */
  onClose(listener: () => void): void
}

export interface ResponseBodyOptions {
  readonly host: string
  readonly clock: Clock
  readonly idleMs: number
  /** What ended the body when this is aborted is its reason. */
  readonly signal: AbortSignal
  readonly onBytes: (bytes: number) => void
}

type RawBody = Dispatcher.ResponseData['body']

export function responseBody(raw: RawBody, options: ResponseBodyOptions): ResponseBody {
  const { host, clock, idleMs, signal, onBytes } = options
  let stalled = false
  // Destroying emits AbortError, which nobody else listens for.
  raw.on('error', () => {})

  function failure(error: unknown): unknown {
    if (signal.aborted) return signal.reason
    if (stalled) {
      return new UpstreamError('unavailable', `${host}: no byte came for ${idleMs} ms`)
    }
    return connectionError(error, host)
  }

  async function* read(lengthBytes: number | undefined): AsyncGenerator<Uint8Array, void> {
    const watchdog = startStallWatchdog(clock, idleMs, () => {
      stalled = true
      raw.destroy()
    })
    let received = 0
    let unreported = 0
    try {
      watchdog.waiting()
      for await (const chunk of raw as AsyncIterable<Uint8Array>) {
        watchdog.arrived()
        received += chunk.length
        unreported += chunk.length
        if (unreported >= REPORT_BYTES) {
          onBytes(unreported)
          unreported = 0
        }
        if (lengthBytes !== undefined && received > lengthBytes) {
          throw new UpstreamError('invalid', `${host} sent more bytes than it had announced`)
        }
        yield chunk
        watchdog.waiting()
      }
    } catch (error) {
      throw failure(error)
    } finally {
      watchdog.stop()
      if (unreported > 0) onBytes(unreported)
    }
    if (lengthBytes !== undefined && received < lengthBytes) {
      throw new UpstreamError(
        'unavailable',
        `${host} closed the connection after ${received} of ${lengthBytes} bytes`,
      )
    }
  }

  async function readAll(limitBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of read(undefined)) {
      size += chunk.length
      if (size > limitBytes) {
        throw new UpstreamError('invalid', `${host} sent more than ${limitBytes} bytes`)
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  }

  return {
    read,
    readAll,
    drain: () =>
      raw.dump({ limit: DRAIN_BYTES_MAX }).then(
        () => {},
        () => {},
      ),
    destroy: () => {
      raw.destroy()
    },
    onClose: listener => {
      if (raw.closed) listener()
      else raw.once('close', listener)
    },
  }
}
