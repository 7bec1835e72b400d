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

/** The same rows; others have their turn behind each, where it is time. */
export async function* paced<Row>(
  clock: Pick<Clock, 'monotonicMs'>,
  rows: AsyncIterable<Row>,
): AsyncGenerator<Row> {
  const pause = createPacer(clock)
  for await (const row of rows) {
    yield row
    await pause()
  }
}
