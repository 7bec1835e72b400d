// The job `evict` (registry/evict/evict-down.ts), which only operators begin: by itself that is
// done when a limit is passed (keep-room.ts).
import type { JobResult, JobRun } from '../registry/job.ts'
import type { ScheduledJob } from './jobs.ts'

export function createEvictJob(evict: (run: JobRun) => Promise<JobResult>): ScheduledJob {
  return { name: 'evict', schedule: () => undefined, run: evict }
}
