// Removing uploads that nobody goes on with (R110): clients that broke off never say so. When it
// runs, and how old is too old, is for upkeep/ and the operator.
import { bestEffort, noteStorage } from '../best-effort.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type Clock, EARLIEST_MS } from '../ports/clock.ts'
import { StoreError } from '../ports/store-error.ts'
import type { TimeKeeper } from '../time/time-keeper.ts'
import type { Uploads } from './uploads.ts'

export interface PurgeDeps {
  readonly store: Pick<BlobStore, 'listUploads' | 'dateUpload'>
  readonly note: NoteEvent
  readonly uploads: Uploads
  readonly clock: Pick<Clock, 'nowMs'>
  readonly time: Pick<TimeKeeper, 'asOfNow'>
}

/** A clock that is behind is put right by the network within minutes. */
const STEADY_MS = 60 * 60 * 1000

export interface Purged {
  readonly sessions: number
  readonly bytes: number
}

/**
 * Removes what nobody went on with for `olderThanMs` of time in which this edge ran: no clock that
 * is ahead ends one, or keeps it until its time comes. Never what a request is about now. With
 * `dryRun` it only counts. One event. What the disk does not let go stays, and is told.
 * @throws StoreError where it cannot list them
 */
export async function purgeUploads(
  { store, note, uploads, clock, time }: PurgeDeps,
  { olderThanMs, dryRun }: { olderThanMs: number; dryRun: boolean },
): Promise<Purged> {
  let sessions = 0
  let bytes = 0
  const timeRun = await time.asOfNow()
  const nowMs = clock.nowMs()
  const isClockRight = timeRun.isSteadyFor(STEADY_MS)
  for (const each of await store.listUploads()) {
    // It came by a clock that was ahead, or that nobody had set, and is as old as what comes now,
    // from now on.
    const hasAge = each.changedAtMs >= EARLIEST_MS && each.changedAtMs <= nowMs
    if (!hasAge && isClockRight && !dryRun)
      await bestEffort(note, () => store.dateUpload(each.id, nowMs))
    const agoMs = hasAge ? timeRun.agoMs(each.changedAtMs, nowMs) : 0
    const left = { ...each, changedAtMs: nowMs - agoMs }
    const isGone = dryRun
      ? uploads.isAbandoned(left, olderThanMs)
      : await isRemoved(note, () => uploads.removeAbandoned(left, olderThanMs))
    if (!isGone) continue
    sessions += 1
    bytes += left.sizeBytes
  }
  note({ kind: 'uploads purged', why: 'age', sessions, bytes, dryRun })
  return { sessions, bytes }
}

/** One that the disk does not let go keeps none of the others. */
async function isRemoved(note: NoteEvent, remove: () => Promise<boolean>): Promise<boolean> {
  try {
    return await remove()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    noteStorage(note, error)
    return false
  }
}
