// Lets others run between steps of work that is not theirs: clients wait for this thread.
import type { Clock } from '../ports/clock.ts'

/** So long others wait at most, more or less: the cost of a step itself is not foreseen. */
const STEP_MS = 3
/** Where nobody waits for the work: a part of what clients wait for one another. */
const STEP_AT_LEISURE_MS = 0.5

/**
 * To be awaited after each step; resolves at once while it is not time. `isHurried`: does somebody
 * wait for the work? Default always.
 */
export function createPacer(
  clock: Pick<Clock, 'monotonicMs'>,
  isHurried: () => boolean = () => true,
): () => Promise<void> {
  let sinceMs = clock.monotonicMs()
  return async () => {
    if (clock.monotonicMs() - sinceMs < (isHurried() ? STEP_MS : STEP_AT_LEISURE_MS)) return
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
