// Jobs as a process has them that has just begun, of which no earlier one has done any.
import type { AskedJob } from '../../src/registry/job.ts'
import { Jobs, type JobsDeps, type ScheduledJob } from '../../src/upkeep/jobs.ts'
import { LastRuns } from '../../src/upkeep/last-runs.ts'
import { createMemoryCatalog } from './memory/catalog.ts'

type Given = Partial<JobsDeps> & Pick<JobsDeps, 'clock'>

/** Not begun: none is due. */
export function jobsOf(jobs: readonly (ScheduledJob | AskedJob)[], given: Given): Jobs {
  const lastRuns = new LastRuns(createMemoryCatalog())
  return new Jobs(jobs, { note: () => {}, lastRuns, ...given })
}

/** Stopped with the test. */
export function startJobs(
  t: { teardown(end: () => unknown): unknown },
  jobs: readonly (ScheduledJob | AskedJob)[],
  given: Given,
): Jobs {
  const started = jobsOf(jobs, given)
  started.start()
  t.teardown(() => started.stop())
  return started
}
