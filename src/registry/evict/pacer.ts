// Lets others run between steps of work that is not theirs: clients wait for this thread.
import type { Clock } from '../ports/clock.ts'

/** So long others wait at most, more or less: the cost of a step itself is not foreseen. */
const STEP_MS = 3

/** To be awaited after each step; resolves at once while it is not time. */
export function createPacer(clock: Pick<Clock, 'monotonicMs'>): () => Promise<void> {
  let sinceMs = clock.monotonicMs()
  return async () => {
    if (clock.monotonicMs() - sinceMs < STEP_MS) return
    await new Promise<void>(resolve => setImmediate(resolve))
    sinceMs = clock.monotonicMs()
  }
}
