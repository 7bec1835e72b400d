// Has how often content is needed counted anew, a part of it in each run, and tells of what was
// counted wrongly: content that an image needs could have left for it. That it is mended is the
// catalog's part.
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'

/** Counted in one write: some milliseconds of the writer thread. */
const ROWS_AT_ONCE = 500
/** Between two writes, so that pushes do not wait behind them. */
const PAUSE_MS = 50
/** In each hour 50,000 rows: a million in a day. */
const WRITES_IN_A_RUN = 100

export interface RecountDeps {
  readonly catalog: Pick<Catalog, 'recount' | 'recounted'>
  readonly clock: Pick<Clock, 'sleep'>
  readonly note: NoteEvent
}

/** Goes on where the last run ended; soon over once `signal` is aborted. @throws StoreError */
export async function recount(
  { catalog, clock, note }: RecountDeps,
  signal: AbortSignal,
): Promise<void> {
  const { mended: before } = await catalog.recounted()
  for (let writes = 0; writes < WRITES_IN_A_RUN && !signal.aborted; writes += 1) {
    await catalog.recount(ROWS_AT_ONCE)
    if ((await catalog.recounted()).upTo === 0) break
    await clock.sleep(PAUSE_MS, signal).catch(() => {})
  }
  const contents = (await catalog.recounted()).mended - before
  if (contents > 0) note({ kind: 'miscounted', contents })
}
