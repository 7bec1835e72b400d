// The job `uploads`: removes uploads that clients began and never finished (R110). Which ones those
// are, and that nobody who is still sending loses anything, is the registry's part; this is what
// the configuration says of it.
import { type JobRun, Tally } from '../registry/job.ts'
import type { ScheduledJob } from './jobs.ts'

/** After the start of a process there is more urgent work for the disk. */
const FIRST_AFTER_MS = 60_000

export interface UploadPurging {
  /** False: nothing is removed by itself. */
  readonly enabled: boolean
  /** Since the last byte. */
  readonly ageMs: number
  /** From the start of one round to that of the next. */
  readonly intervalMs: number
  /** Rounds only tell what would be removed. */
  readonly dryRun: boolean
}

export interface UploadPurgeDeps {
  /** As they are now. */
  readonly settings: () => UploadPurging
  /** Tells of what it did by itself. @throws StoreError */
  readonly purge: (options: {
    olderThanMs: number
    dryRun: boolean
  }) => Promise<{ readonly sessions: number; readonly bytes: number }>
}

export function createUploadPurge({ settings, purge }: UploadPurgeDeps): ScheduledJob {
  return {
    name: 'uploads',
    schedule: () => {
      const { enabled, intervalMs, dryRun } = settings()
      return enabled ? { everyMs: intervalMs, firstAfterMs: FIRST_AFTER_MS, dryRun } : undefined
    },
    run: async ({ dryRun, progress }: JobRun) => {
      const { sessions, bytes } = await purge({ olderThanMs: settings().ageMs, dryRun })
      const tally = new Tally({ progress })
      // Whoever knows the id of one may write to it: they are counted and not named.
      const what = sessions === 1 ? '1 upload' : `${sessions} uploads`
      if (sessions > 0) tally.add({ what, reason: 'nobody went on with it', bytes })
      return tally.result()
    },
  }
}
