// The job `retain`: what the operator's policies let go of what was pushed here. What that is, is
// the registry's part; this is when, and by which policies.
import type { Job } from '../registry/job.ts'
import type { RetentionRules } from '../registry/retain/rules.ts'
import type { ScheduledJob } from './jobs.ts'

/** What came while the process was away is looked at soon, behind what is more urgent. */
const FIRST_AFTER_MS = 5 * 60_000

export interface RetentionSettings extends RetentionRules {
  /** From the start of one round to that of the next. */
  readonly intervalMs: number
  /** Rounds only tell what would go. */
  readonly dryRun: boolean
}

export interface RetentionDeps {
  /** As they are now. */
  readonly settings: () => RetentionSettings
  readonly retain: (
    rules: () => RetentionRules,
    run: Parameters<Job['run']>[0],
  ) => ReturnType<Job['run']>
}

export function createRetention({ settings, retain }: RetentionDeps): ScheduledJob {
  return {
    name: 'retain',
    schedule: () => {
      const { policies, intervalMs: everyMs, dryRun } = settings()
      const firstAfterMs = Math.min(FIRST_AFTER_MS, everyMs)
      return policies.length === 0 ? undefined : { everyMs, firstAfterMs, dryRun }
    },
    run: run => {
      const { dryRun } = settings()
      return retain(() => {
        const now = settings()
        // Whoever turns it on meanwhile wants nothing more to go.
        return now.dryRun && !dryRun ? { ...now, policies: [] } : now
      }, run)
    },
  }
}
