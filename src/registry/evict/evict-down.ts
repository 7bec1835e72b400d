// Down to the low water of the storage, and to the ceilings of quotas: for operators, who also see
// before what would leave. By itself that is done when a limit is passed (upkeep/keep-room.ts).
// Paused, it goes on until it is done: whoever needs room waits for its run.
import { type JobResult, type JobRun, Tally } from '../job.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import { type IdleUploads, removeIdle } from '../space/remove-parts.ts'
import { UPLOADS_IN_THE_WAY } from '../space/shortage.ts'
import type { Evictor } from './evictor.ts'
import type { Evict } from './gone.ts'

export interface EvictDownDeps {
  readonly evictor: Pick<Evictor, 'trim' | 'foretell'>
  readonly space: Pick<SpaceLedger, 'bytesAboveLowWater'>
  readonly idleUploads: IdleUploads
}

/** @throws StoreError */
export async function evictDown(
  { evictor, space, idleUploads }: EvictDownDeps,
  run: Pick<JobRun, 'dryRun' | 'signal' | 'progress'>,
): Promise<JobResult> {
  const tally = new Tally(run)
  const how: Evict = { signal: run.signal, told: gone => tally.add(gone) }
  const aboveBytes = await space.bytesAboveLowWater()
  const bytes = await lessUploads(aboveBytes, { run, tally, idleUploads })
  await (run.dryRun ? evictor.foretell(bytes, how) : evictor.trim(bytes, how))
  const result = tally.result()
  const note = run.signal.aborted ? undefined : whyNoMore(aboveBytes, result, idleUploads)
  return note === undefined ? result : { ...result, note }
}

interface Above {
  readonly run: Pick<JobRun, 'dryRun' | 'signal'>
  readonly tally: Tally
  readonly idleUploads: IdleUploads
}

/** What is left once uploads have gone, or would, that nobody goes on with: nobody pulls those. */
async function lessUploads(bytes: number, { run, tally, idleUploads }: Above): Promise<number> {
  const ofUploads = run.dryRun
    ? idleUploads.foretell(bytes)
    : await removeIdle(idleUploads, bytes, run.signal)
  // Whoever knows the id of one may write to it: they are not named.
  if (ofUploads > 0)
    tally.add({ what: 'unfinished uploads', reason: 'nobody went on with them', bytes: ofUploads })
  return Math.max(0, bytes - ofUploads)
}

function whyNoMore(
  bytes: number,
  { count, freedBytes }: JobResult,
  { takenBytes }: IdleUploads,
): string | undefined {
  if (bytes > freedBytes && takenBytes >= bytes - freedBytes)
    return `more is taken than storage.lowwater says; ${UPLOADS_IN_THE_WAY}`
  if (bytes > freedBytes)
    return 'more is taken than storage.lowwater says: what is left is kept, pinned, in use, within the floor of a quota, or perhaps of a pushed manifest that is lost'
  if (count > 0) return undefined
  return 'no more is taken than storage.lowwater says, and no ceiling of a quota is passed'
}
