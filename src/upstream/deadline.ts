// The time limit over a whole chain of attempts, and the caller's own signal, as one signal for each attempt. The limit ends with
// the first byte; the caller's signal goes on as long as the body does.
import { UpstreamError } from '../registry/ports/upstream.ts'
import type { Clock } from '../registry/ports/clock.ts'

export interface Deadline {
  /** Milliseconds left; never below 0. */
  leftMs(): number
  /** Aborts with an UpstreamError at the limit, or with the caller's reason. */
  readonly signal: AbortSignal
  /** The limit no longer counts; the caller's signal still does, until `end`. For bodies that outlive the call. */
  lift(): void
  readonly isLifted: boolean
  /** Nothing counts any more: listeners and timers go. No effect the second time. */
  end(): void
  whenEnded(listener: () => void): void
}

export function startDeadline(clock: Clock, limitMs: number, caller?: AbortSignal): Deadline {
  const startedMs = clock.monotonicMs()
  const controller = new AbortController()
  const timer = new AbortController()
  const ended = new AbortController()
  const onCaller = (): void => controller.abort(caller?.reason)
  let isLifted = false

  if (caller?.aborted) onCaller()
  else caller?.addEventListener('abort', onCaller, { once: true })

  clock.sleep(limitMs, timer.signal).then(
    () => controller.abort(outOfTime(limitMs)),
    () => {},
  )
  return {
    leftMs: () => Math.max(0, limitMs - (clock.monotonicMs() - startedMs)),
    signal: controller.signal,
    lift: () => {
      isLifted = true
      timer.abort()
    },
    get isLifted() {
      return isLifted
    },
    end: () => {
      timer.abort()
      caller?.removeEventListener('abort', onCaller)
      ended.abort()
    },
    whenEnded: listener => {
      if (ended.signal.aborted) listener()
      else ended.signal.addEventListener('abort', listener, { once: true })
    },
  }
}

function outOfTime(limitMs: number): UpstreamError {
  return new UpstreamError('unavailable', `no answer within ${limitMs} ms`, {
    hint: 'the upstream or the way to it is too slow; see the failures before this one',
  })
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts. The promise itself goes on. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = <A>(tell: (argument: A) => void) => {
      return (argument: A): void => {
        signal.removeEventListener('abort', onAbort)
        tell(argument)
      }
    }
    promise.then(settled(resolve), settled(reject))
  })
}
