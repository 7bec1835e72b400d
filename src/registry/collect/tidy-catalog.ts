// Forgetting what the catalog says of what is not here and nobody asks for any more, so that it is
// as large as what is here.
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'

/** Whoever was away for a month finds the names as they were. */
const FORGOTTEN_AFTER_MS = 30 * 24 * 60 * 60 * 1000
/** Looked at in one write: some milliseconds of the writer thread. */
const ROWS_AT_ONCE = 500
/**
 * Between two writes, so that pushes do not wait behind them, and a million rows are looked at
 * within minutes.
 */
const PAUSE_MS = 50

export interface TidyDeps {
  readonly catalog: Pick<Catalog, 'tidy' | 'tidied'>
  readonly clock: Clock
}

/** Once through all of it, or until `signal` is aborted. @throws StoreError */
export async function tidyCatalog(
  { catalog, clock }: TidyDeps,
  signal: AbortSignal,
): Promise<void> {
  const beforeMs = clock.nowMs() - FORGOTTEN_AFTER_MS
  for (;;) {
    await catalog.tidy({ beforeMs, rows: ROWS_AT_ONCE })
    if ((await catalog.tidied()).upTo === 0 || signal.aborted) return
    await clock.sleep(PAUSE_MS, signal).catch(() => {})
  }
}
