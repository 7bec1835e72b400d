// A machine without a clock of its own begins at each boot in 1970, or at a time that its system
// was built with, and is put right by the network minutes later. What was dated until then would be
// decades old from then on, and all that the catalog has noted of time lie in the future meanwhile.
// So such a time is no time: this edge goes on from where the last process has seen it. Not so
// from EARLIEST_MS on, however far behind the last process that is: it may have been the one that
// was ahead, and tokens and certificates would be judged by its time until that is known. Files are
// dated by the system all the same: whoever reads their times knows of it (EARLIEST_MS).
import type { Catalog } from '../ports/catalog.ts'
import { type Clock, EARLIEST_MS } from '../ports/clock.ts'
import { lastSeenMs } from './time-keeper.ts'

/** @throws StoreError */
export async function neverUnset(
  clock: Clock,
  catalog: Pick<Catalog, 'listJobNotes'>,
): Promise<Clock> {
  const fromMs = Math.max(EARLIEST_MS, (await lastSeenMs(catalog)) ?? EARLIEST_MS)
  const startMs = clock.monotonicMs()
  return {
    nowMs: () => {
      const nowMs = clock.nowMs()
      return nowMs >= EARLIEST_MS ? nowMs : Math.floor(fromMs + clock.monotonicMs() - startMs)
    },
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  }
}
