// The job `scrub` (registry/scrub/scrub.ts): when all that is here is read once more. An operator
// who asks has all of it read at once, as fast as the disk gives it.
import { type AskedJob, refuseArgs } from '../registry/job.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { ScrubExtent, ScrubResult } from '../registry/scrub/scrub.ts'
import type { JobRun } from '../registry/job.ts'

export interface ScrubJobDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly scrub: (run: JobRun, extent: ScrubExtent) => Promise<ScrubResult>
}

export function createScrubJob({ clock, scrub }: ScrubJobDeps): AskedJob {
  return {
    name: 'scrub',
    workOf: args => {
      refuseArgs('scrub', args)
      const whole = (run: JobRun) =>
        scrub(run, { beforeMs: clock.nowMs(), between: async () => {} })
      return { about: 'all', run: whole }
    },
  }
}
