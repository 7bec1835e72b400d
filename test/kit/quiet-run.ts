// A run of a job that nobody watches, pauses or ends.
import type { JobRun } from '../../src/registry/job.ts'

export function quietRun(given: Partial<JobRun> = {}): JobRun {
  const { signal } = new AbortController()
  return { signal, dryRun: false, progress: () => {}, pause: async () => {}, ...given }
}
