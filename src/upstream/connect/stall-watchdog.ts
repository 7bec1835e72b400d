// Tells a peer that has gone silent from a reader that is slow: time counts only while a piece is
// being asked for. One timer for the whole body, since a timer for each piece would cost more than
// the piece.
import { NOT_NEEDED } from '../../async/aborting.ts'
import type { Clock } from '../../registry/ports/clock.ts'

export interface StallWatchdog {
  /** A piece is wanted from now on. */
  waiting(): void
  /** It came. */
  arrived(): void
  stop(): void
}

/** Calls `onStall` once when a piece was asked for and did not come for `idleMs`. */
export function startStallWatchdog(
  clock: Clock,
  idleMs: number,
  onStall: () => void,
): StallWatchdog {
  const stopped = new AbortController()
  let waitingSinceMs: number | undefined

  async function watch(): Promise<void> {
    for (;;) {
      const silentMs = waitingSinceMs === undefined ? 0 : clock.monotonicMs() - waitingSinceMs
      if (silentMs >= idleMs) return onStall()
      await clock.sleep(idleMs - silentMs, stopped.signal)
    }
  }
  // The sleep rejects when stopped, and only then.
  watch().catch(() => {})

  return {
    waiting: () => {
      waitingSinceMs = clock.monotonicMs()
    },
    arrived: () => {
      waitingSinceMs = undefined
    },
    stop: () => stopped.abort(NOT_NEEDED),
  }
}
