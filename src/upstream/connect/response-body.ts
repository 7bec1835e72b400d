// The body of one response. Every path must read it to its end or destroy it: an unread body keeps
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

export interface ResponseBodyOptions {
  readonly host: string
  readonly clock: Clock
  readonly idleMs: number
  /** What ended the body when this is aborted is its reason. */
  readonly signal: AbortSignal
  readonly onBytes: (bytes: number) => void
}

type RawBody = Dispatcher.ResponseData['body']

export class ResponseBody {
  readonly #raw: RawBody
  readonly #options: ResponseBodyOptions
  #isStalled = false

  constructor(raw: RawBody, options: ResponseBodyOptions) {
    this.#raw = raw
    this.#options = options
    // Destroying emits AbortError, which nobody else listens for.
    raw.on('error', () => {})
  }

  /**
   * Bytes as they come. Ends normally only after `lengthBytes`, when that is known.
   * @throws UpstreamError unavailable, invalid
   */
  async *read(lengthBytes: number | undefined): AsyncGenerator<Uint8Array, void> {
    const { host, clock, idleMs, onBytes } = this.#options
    const watchdog = startStallWatchdog(clock, idleMs, () => {
      this.#isStalled = true
      this.#raw.destroy()
    })
    let received = 0
    let unreported = 0
    try {
      watchdog.waiting()
      for await (const chunk of this.#raw as AsyncIterable<Uint8Array>) {
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
      throw this.#failure(error)
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

  /**
   * Everything, at most `limitBytes`.
   * @throws UpstreamError invalid when there is more, and ends the connection
   */
  async readAll(limitBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of this.read(undefined)) {
      size += chunk.length
      if (size > limitBytes) {
        const { host } = this.#options
        throw new UpstreamError('invalid', `${host} sent more than ${limitBytes} bytes`)
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  }

  /** Reads and forgets a small body, ends the connection of a large one. Never rejects. */
  drain(): Promise<void> {
    return this.#raw.dump({ limit: DRAIN_BYTES_MAX }).then(
      () => {},
      () => {},
    )
  }

  /** Ends the connection. */
  destroy(): void {
    this.#raw.destroy()
  }

  /**
   * `listener` is called when the body was read, drained or destroyed; at once when it was already.
   */
  onClose(listener: () => void): void {
    if (this.#raw.closed) listener()
    else this.#raw.once('close', listener)
  }

  #failure(error: unknown): unknown {
    const { host, idleMs, signal } = this.#options
    if (signal.aborted) return signal.reason
    if (this.#isStalled) {
      return new UpstreamError('unavailable', `${host}: no byte came for ${idleMs} ms`)
    }
    return connectionError(error, host)
  }
}
