// A body on its way up: given out in small pieces, no faster than the connection takes them, and
// watched for a registry that takes nothing or does not answer in the end. Whether it may be sent a
// second time is for session.ts.
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { startStallWatchdog } from './stall-watchdog.ts'

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
  /** From the last byte to the answer's head. Default: only the request's signal limits it. */
  readonly responseMs?: number
  /**
   * A connection was found and asks for the first piece: time limits for answers do not count any
   * more.
   */
  readonly onFirst?: () => void
  /** The connection took the last piece. */
  readonly onLast?: () => void
}

export interface Sending {
  readonly pieces: AsyncIterable<Uint8Array>
  /**
   * Gives out no more and lets the connection wait: an answer came, and must be read before the
   * connection may break.
   */
  hold(): void
  /** Gives the source back, and fails whoever waits for a piece. No effect the second time. */
  stop(): void
  /** The connection took all of it. */
  readonly isWhole: boolean
  /** What the source threw: not the registry's fault. */
  readonly failure: { readonly error: unknown } | undefined
}

export interface SendingOptions {
  readonly host: string
  readonly clock: Clock
  /** The registry takes nothing, or does not answer. Called at most once. */
  readonly onStuck: (error: UpstreamError) => void
}

export function startSending(body: RequestBody, options: SendingOptions): Sending {
  const { host, clock, onStuck } = options
  const answered = new AbortController()
  const watchdog = startStallWatchdog(clock, STALL_MS, () => {
    onStuck(new UpstreamError('unavailable', `${host} took no byte for ${STALL_MS} ms`))
  })
  let source: AsyncIterator<Uint8Array> | undefined
  let rest: Uint8Array = new Uint8Array(0)
  let takenBytes = 0
  let isHeld = false
  let isStopped = false
  let isWhole = false
  let failure: Sending['failure']
  let giveUp = (): void => {}

  /** Settles with `promise`, unless the sending is held or stopped before; then as `stop` says. */
  function unlessHeld<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      giveUp = () => reject(new Error('the sending was stopped'))
      promise.then(
        value => {
          if (!isHeld) resolve(value)
        },
        (error: unknown) => {
          if (isHeld) return
          failure = { error }
          reject(error)
        },
      )
      if (isStopped) giveUp()
    })
  }

  /** The next piece that is not empty; undefined at the end. */
  async function nextPiece(): Promise<Uint8Array | undefined> {
    source ??= body.read()[Symbol.asyncIterator]()
    while (rest.length === 0) {
      const step = await source.next()
      if (step.done === true) return checkedEnd()
      rest = step.value
    }
    const piece = rest.subarray(0, PIECE_BYTES)
    rest = rest.subarray(piece.length)
    takenBytes += piece.length
    if (takenBytes > (body.sizeBytes ?? takenBytes)) throw wrongSize(takenBytes, body.sizeBytes)
    return piece
  }

  function checkedEnd(): undefined {
    if (takenBytes !== (body.sizeBytes ?? takenBytes)) throw wrongSize(takenBytes, body.sizeBytes)
  }

  async function next(): Promise<IteratorResult<Uint8Array, undefined>> {
    watchdog.arrived()
    if (source === undefined) body.onFirst?.()
    const piece = await unlessHeld(nextPiece())
    if (piece !== undefined) {
      watchdog.waiting()
      return { done: false, value: piece }
    }
    isWhole = true
    body.onLast?.()
    if (body.responseMs !== undefined) void awaitResponse(body.responseMs)
    return { done: true, value: undefined }
  }

  async function awaitResponse(limitMs: number): Promise<void> {
    try {
      await clock.sleep(limitMs, answered.signal)
    } catch {
      return
    }
    onStuck(new UpstreamError('unavailable', `${host} has all, and no answer for ${limitMs} ms`))
  }

  function hold(): void {
    isHeld = true
    watchdog.stop()
    answered.abort()
  }

  return {
    pieces: { [Symbol.asyncIterator]: () => ({ next }) },
    hold,
    stop: () => {
      if (isStopped) return
      isStopped = true
      hold()
      giveUp()
      // A source that waits for its own next piece ends when that comes.
      if (!isWhole) source?.return?.()?.catch(() => {})
    },
    get isWhole() {
      return isWhole
    },
    get failure() {
      return failure
    },
  }
}

function wrongSize(sizeBytes: number, expectedBytes: number | undefined): Error {
  return new Error(`a body of ${expectedBytes} bytes has ${sizeBytes}`)
}
