// The time limit over a whole chain of attempts, and the caller's own signal, as one signal for
// each attempt. The limit ends with the first byte; the caller's signal goes on as long as the body
// does.
import { NOT_NEEDED } from '../../async/aborting.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { Clock } from '../../registry/ports/clock.ts'

export interface Deadline {
  /** Milliseconds left; never below 0. */
  leftMs(): number
  /** Aborts with an UpstreamError at the limit, or with the caller's reason. */
  readonly signal: AbortSignal
  /**
   * The limit stands still, and goes on where it was: for bodies, which may take as long as they
   * move. No effect the second time.
   */
  pause(): void
  resume(): void
  /**
   * The limit no longer counts; the caller's signal still does, until `end`. For bodies that
   * outlive the call.
   */
  lift(): void
  readonly isLifted: boolean
  /** Nothing counts any more: listeners and timers go. No effect the second time. */
  end(): void
  whenEnded(listener: () => void): void
}

export function startDeadline(clock: Clock, limitMs: number, caller?: AbortSignal): Deadline {
  const controller = new AbortController()
  const ended = new AbortController()
  const onCaller = (): void => controller.abort(caller?.reason)
  let isLifted = false
  let leftMs = limitMs
  let running: { readonly sinceMs: number; readonly timer: AbortController } | undefined

  if (caller?.aborted) onCaller()
  else caller?.addEventListener('abort', onCaller, { once: true })

  function resume(): void {
    if (running !== undefined || isLifted || ended.signal.aborted) return
    const timer = new AbortController()
    running = { sinceMs: clock.monotonicMs(), timer }
    clock.sleep(leftMs, timer.signal).then(
      () => controller.abort(outOfTime(limitMs)),
      () => {},
    )
  }

  function pause(): void {
    if (running === undefined) return
    leftMs = leftNowMs()
    running.timer.abort(NOT_NEEDED)
    running = undefined
  }

  function leftNowMs(): number {
    const passedMs = running === undefined ? 0 : clock.monotonicMs() - running.sinceMs
    return Math.max(0, leftMs - passedMs)
  }

  resume()
  return {
    leftMs: leftNowMs,
    signal: controller.signal,
    pause,
    resume,
    lift: () => {
      isLifted = true
      pause()
    },
    get isLifted() {
      return isLifted
    },
    end: () => {
      pause()
      caller?.removeEventListener('abort', onCaller)
      ended.abort(NOT_NEEDED)
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
