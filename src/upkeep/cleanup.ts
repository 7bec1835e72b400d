// The job `cleanup`: what is left of downloads that failed and that nobody goes on with, what is in
// the quarantine for nobody any more, what is pending for pushes that never ended, what the catalog
// says of what nobody asks for, and deletes that nobody needs to know of any more; and the count of
// what is needed is gone over. What that is, is the store's part and the registry's; this puts it
// together.
import { RegistryError } from '../oci/errors.ts'
import { noteStorage } from '../registry/best-effort.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import { PART_AGE_LIMIT_MS } from '../registry/ports/blob-store-fills.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { ScheduledJob } from './jobs.ts'

export const CLEANUP_EVERY_MS = 60 * 60 * 1000
/**
 * After the start of a process there is more urgent work for the disk; but a machine that is never
 * on for an hour at a time is cleaned up, too.
 */
const FIRST_AFTER_MS = 10 * 60 * 1000

export interface CleanupDeps {
  readonly note: NoteEvent
  readonly store: Pick<BlobStore, 'removeParts' | 'clearQuarantine'>
  /** Resolves soon once `signal` is aborted. @throws StoreError */
  readonly expirePendingBlobs: (signal: AbortSignal) => Promise<void>
  /** The same. */
  readonly tidyCatalog: (signal: AbortSignal) => Promise<void>
  /** The same. */
  readonly recount: (signal: AbortSignal) => Promise<void>
  /** The same. */
  readonly forgetDeletes: (signal: AbortSignal) => Promise<void>
  /** For the next process: until when this one ran. @throws StoreError */
  readonly noteTime: () => Promise<void>
}

/** It has no dry run: it tells of nothing, and takes no more than what nobody can ask for. */
export function createCleanup(deps: CleanupDeps): ScheduledJob {
  const { note, store, expirePendingBlobs, tidyCatalog, recount } = deps
  return {
    name: 'cleanup',
    schedule: () => ({ everyMs: CLEANUP_EVERY_MS, firstAfterMs: FIRST_AFTER_MS }),
    run: async ({ signal, dryRun }) => {
      if (dryRun) throw new RegistryError('UNSUPPORTED', 'cleanup has no dry run')
      const parts = () => store.removeParts(PART_AGE_LIMIT_MS)
      const pending = () => expirePendingBlobs(signal)
      const rows = () => tidyCatalog(signal)
      const needs = () => recount(signal)
      const deletes = () => deps.forgetDeletes(signal)
      const time = () => deps.noteTime()
      // What fails keeps none of the others from being done; the next run tries again.
      for (const work of [
        parts,
        () => store.clearQuarantine(),
        pending,
        rows,
        needs,
        deletes,
        time,
      ])
        await work().catch((error: unknown) => noteStorage(note, error))
      return { gone: [], count: 0, freedBytes: 0 }
    },
  }
}
