// The job `retain`: what the operator's policies let go of what was pushed here. What that is, is
// the registry's part; this is when, and by which policies.
import {
  alsoNoted,
  type AskedJob,
  type JobResult,
  type JobRun,
  refuseArgs,
} from '../registry/job.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { RetentionRules } from '../registry/retain/rules.ts'
import type { Scheduling } from './jobs.ts'

/**
 * What came while the process was away is looked at soon, behind what is more urgent. After a
 * reload that changes what goes an operator has so long to see by a dry run what it will be.
 */
const FIRST_AFTER_MS = 5 * 60_000
const MINUTE_MS = 60_000

const CUT_OFF =
  'a reload has changed storage.retention or storage.gc.delay: nothing more went by what held before'

const NO_POLICY = 'there is no policy under storage.retention: what was pushed stays'

/** What becomes of the rest. `waitMs`: until the round that makes up for it, if it has to. */
function cutOff(
  { dryRun }: Pick<JobRun, 'dryRun'>,
  now: RetentionSettings,
  waitMs: number,
): string {
  if (now.policies.length === 0) return `${CUT_OFF}, and now no policy lets anything go`
  if (dryRun) return `${CUT_OFF}; "entrepot retain --dry-run" tells what goes now`
  if (now.dryRun)
    return `${CUT_OFF}; rounds only tell by storage.retention.dryrun: run "entrepot retain" again for the rest`
  const minutes = Math.max(1, Math.ceil(waitMs / MINUTE_MS))
  return `${CUT_OFF}; the rest is judged by what holds now, in ${minutes} min`
}

export interface RetentionSettings extends RetentionRules {
  /** From the start of one round to that of the next. */
  readonly intervalMs: number
  /** Rounds only tell what would go. */
  readonly dryRun: boolean
}

export interface RetentionDeps {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** As they are now. */
  readonly settings: () => RetentionSettings
  readonly retain: (rules: () => RetentionRules, run: JobRun) => Promise<JobResult>
}

export function createRetention({ clock, settings, retain }: RetentionDeps): AskedJob & Scheduling {
  let known = JSON.stringify(settings())
  let changedMs: number | undefined
  /** When another run is due for what one has left, since a reload came. */
  let owedMs: number | undefined

  /** Undefined: they are those of the start. */
  function findChange(): number | undefined {
    const now = JSON.stringify(settings())
    if (now !== known) changedMs = clock.monotonicMs()
    known = now
    return changedMs
  }

  /** Also the pace of one that fails. */
  const waitMs = () => Math.min(FIRST_AFTER_MS, settings().intervalMs)

  return {
    name: 'retain',
    schedule: () => {
      const since = findChange()
      const { policies, intervalMs: everyMs, dryRun } = settings()
      if (policies.length === 0) return undefined
      const firstAfterMs = waitMs()
      const owed = owedMs === undefined ? {} : { dueMs: owedMs }
      const schedule = { everyMs, firstAfterMs, dryRun, ...owed }
      return since === undefined ? schedule : { ...schedule, notBeforeMs: since + firstAfterMs }
    },
    workOf: args => {
      refuseArgs('retain', args)
      // It may wait for another run, and a reload come meanwhile.
      const asked = JSON.stringify(settings())
      const run = async (run: JobRun) => {
        const isWhatIsDue = () => run.dryRun === settings().dryRun
        const beganMs = clock.monotonicMs()
        // Whoever asks for it sooner takes nothing from it unless that ends well.
        const isOwed = isWhatIsDue() && owedMs !== undefined && owedMs <= beganMs
        // One that fails is tried again, and not at once.
        if (isOwed) owedMs = beganMs + waitMs()
        let isOther = false
        const rules = () => {
          const now = settings()
          isOther ||= JSON.stringify(now) !== asked
          // What is other now takes nothing either before a dry run can tell of it.
          return isOther ? { ...now, policies: [] } : now
        }
        const result = await retain(rules, run)
        if (isWhatIsDue() && isOther) owedMs = (findChange() ?? clock.monotonicMs()) + waitMs()
        else if (isWhatIsDue() && (isOwed || !run.signal.aborted)) owedMs = undefined
        if (!isOther && settings().policies.length === 0) return alsoNoted(result, NO_POLICY)
        if (!isOther) return result
        const leftMs = (owedMs ?? 0) - clock.monotonicMs()
        return alsoNoted(result, cutOff(run, settings(), leftMs))
      }
      return { about: asked, run }
    },
  }
}
