// Down to the low water of the storage, and to the ceilings of quotas: for operators, who also see
// before what would leave. By itself that is done when a limit is passed (upkeep/keep-room.ts).
// Paused, it goes on until it is done: whoever needs room waits for its run.
import { type JobResult, type JobRun, Tally } from '../job.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import type { Evictor } from './evictor.ts'
import type { Evict } from './gone.ts'

export interface EvictDownDeps {
  readonly evictor: Pick<Evictor, 'trim' | 'foretell'>
  readonly space: Pick<SpaceLedger, 'bytesAboveLowWater'>
}

/** @throws StoreError */
export async function evictDown(
  { evictor, space }: EvictDownDeps,
  run: Pick<JobRun, 'dryRun' | 'signal' | 'progress'>,
): Promise<JobResult> {
  const tally = new Tally(run)
  const how: Evict = { signal: run.signal, told: gone => tally.add(gone) }
  const bytes = await space.bytesAboveLowWater()
  await (run.dryRun ? evictor.foretell(bytes, how) : evictor.trim(bytes, how))
  const result = tally.result()
  const note = run.signal.aborted ? undefined : whyNoMore(bytes, result)
  return note === undefined ? result : { ...result, note }
}

function whyNoMore(bytes: number, { count, freedBytes }: JobResult): string | undefined {
  if (bytes > freedBytes)
    return 'more is taken than storage.lowwater says: what is left is kept, pinned, in use, within the floor of a quota, or perhaps of a pushed manifest that is lost'
  if (count > 0) return undefined
  return 'no more is taken than storage.lowwater says, and no ceiling of a quota is passed'
}
