// A body on its way up: given out in small pieces, no faster than the connection takes them, and
// watched for a registry that takes nothing or does not answer in the end. Whether it may be sent a
// second time is for session.ts.
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { type StallWatchdog, startStallWatchdog } from './stall-watchdog.ts'

/**
 * Small, so that a slow line that moves is told from one that stands: it takes one within the time
 * limit at 1 KiB/s.
 */
const PIECE_BYTES = 64 * 1024
/**
 * No piece was taken for so long: storage behind a registry pauses for seconds, not for a minute.
 */
const STALL_MS = 60_000

export interface RequestBody {
  /** Becomes Content-Length; undefined: chunked coding. */
  readonly sizeBytes: number | undefined
  /** Gives the bytes from their start. Chunks are no longer changed by whoever made them. */
  read(): AsyncIterable<Uint8Array>
  /** `read` can be called once only. */
  readonly once?: boolean
  /** From the last byte to the response's head. Default: only the request's signal limits it. */
  readonly responseMs?: number
  /**
   * A connection was found and asks for the first piece: time limits for responses do not count any
   * more.
   */
  readonly onFirst?: () => void
  /** The connection took the last piece. */
  readonly onLast?: () => void
}

export interface SendingOptions {
  readonly host: string
  readonly clock: Clock
  /** The registry takes nothing, or does not answer. Called at most once. */
  readonly onStuck: (error: UpstreamError) => void
}

/** One sending of a body, from its start. */
export class Sending {
  readonly pieces: AsyncIterable<Uint8Array>
  readonly #body: RequestBody
  readonly #options: SendingOptions
  readonly #watchdog: StallWatchdog
  readonly #answered = new AbortController()
  #source: AsyncIterator<Uint8Array> | undefined
  #rest: Uint8Array = new Uint8Array(0)
  #takenBytes = 0
  #isHeld = false
  #isStopped = false
  #isWhole = false
  #failure: { readonly error: unknown } | undefined
  #giveUp = (): void => {}

  constructor(body: RequestBody, options: SendingOptions) {
    const { host, clock, onStuck } = options
    this.#body = body
    this.#options = options
    this.#watchdog = startStallWatchdog(clock, STALL_MS, () => {
      onStuck(new UpstreamError('unavailable', `${host} took no byte for ${STALL_MS} ms`))
    })
    this.pieces = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) }
  }

  /** The connection took all of it. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** What the source threw: not the registry's fault. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  /**
   * Gives out no more and lets the connection wait: a response came, and must be read before the
   * connection may break.
   */
  hold(): void {
    this.#isHeld = true
    this.#watchdog.stop()
    this.#answered.abort()
  }

  /** Gives the source back, and fails whoever waits for a piece. No effect the second time. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.hold()
    this.#giveUp()
    // A source that waits for its own next piece ends when that comes.
    if (!this.#isWhole) this.#source?.return?.()?.catch(() => {})
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { onFirst, onLast, responseMs } = this.#body
    this.#watchdog.arrived()
    if (this.#source === undefined) onFirst?.()
    const piece = await this.#unlessHeld(this.#nextPiece())
    if (piece !== undefined) {
      this.#watchdog.waiting()
      return { done: false, value: piece }
    }
    this.#isWhole = true
    onLast?.()
    if (responseMs !== undefined) void this.#awaitResponse(responseMs)
    return { done: true, value: undefined }
  }

  /** The next piece that is not empty; undefined at the end. */
  async #nextPiece(): Promise<Uint8Array | undefined> {
    const { sizeBytes } = this.#body
    this.#source ??= this.#body.read()[Symbol.asyncIterator]()
    while (this.#rest.length === 0) {
      const step = await this.#source.next()
      if (step.done === true) {
        if (this.#takenBytes === (sizeBytes ?? this.#takenBytes)) return undefined
        throw wrongSize(this.#takenBytes, sizeBytes)
      }
      this.#rest = step.value
    }
    const piece = this.#rest.subarray(0, PIECE_BYTES)
    this.#rest = this.#rest.subarray(piece.length)
    this.#takenBytes += piece.length
    if (this.#takenBytes > (sizeBytes ?? this.#takenBytes))
      throw wrongSize(this.#takenBytes, sizeBytes)
    return piece
  }

  /** Settles with `promise`, unless the sending is held or stopped before; then as `stop` says. */
  #unlessHeld<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => reject(new Error('the sending was stopped'))
      promise.then(
        value => {
          if (!this.#isHeld) resolve(value)
        },
        (error: unknown) => {
          if (this.#isHeld) return
          this.#failure = { error }
          reject(error)
        },
      )
      if (this.#isStopped) this.#giveUp()
    })
  }

  async #awaitResponse(limitMs: number): Promise<void> {
    const { host, clock, onStuck } = this.#options
    try {
      await clock.sleep(limitMs, this.#answered.signal)
    } catch {
      return
    }
    onStuck(new UpstreamError('unavailable', `${host} has all, and no answer for ${limitMs} ms`))
  }
}

function wrongSize(sizeBytes: number, expectedBytes: number | undefined): Error {
  return new Error(`a body of ${expectedBytes} bytes has ${sizeBytes}`)
}
