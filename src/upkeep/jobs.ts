// Runs what is done again and again while the process runs, each job at its own pace, and at once
// when an operator asks for it. What a job does is its own part: this is when, and who is told.
import { NOT_NEEDED, unlessAborted } from '../async/aborting.ts'
import { RegistryError } from '../oci/errors.ts'
import { noteStorage } from '../registry/best-effort.ts'
import {
  type AskedJob,
  type Job,
  type JobArgs,
  type JobControl,
  type JobEvent,
  type JobState,
  type ListedJobs,
  parseJobName,
} from '../registry/job.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import { type Asked, JobRuns } from './job-runs.ts'
import type { LastRuns } from './last-runs.ts'

/** Whoever looks on is told so often, however fast things go. */
const PROGRESS_EVERY_MS = 250
/** Told of at once of what went: some hundred kilobytes as text. */
const GONE_AT_ONCE = 500

export interface Schedule {
  /** From the start of one run to that of the next. */
  readonly everyMs: number
  /** From the start of the process to the first run. Default `everyMs`. */
  readonly firstAfterMs?: number
  /** A run is due then as well, on the monotonic clock; gone when it begins. */
  readonly dueMs?: number
  /** No run is due before, on the monotonic clock. Default: none is held up. */
  readonly notBeforeMs?: number
  /** Default false. */
  readonly dryRun?: boolean
  /** What the job is told of a run that is due. Default nothing. */
  readonly args?: JobArgs
}

export interface Scheduling {
  /** As it stands now; asked again after each `rescheduled`. Undefined: only when asked for. */
  schedule(): Schedule | undefined
}

/** A run that is due is asked for in the moment in which `schedule` says so. */
export type ScheduledJob = (Job | AskedJob) & Scheduling

export interface JobsDeps {
  readonly clock: Clock
  readonly note: NoteEvent
  readonly lastRuns: LastRuns
}

interface Scheduled {
  readonly job: ScheduledJob | AskedJob
  readonly runs: JobRuns
  nextMs: number | undefined
}

export class Jobs implements JobControl {
  readonly #deps: JobsDeps
  readonly #scheduled: readonly Scheduled[]
  readonly #stopping = new AbortController()
  #wake = new AbortController()
  #loops: readonly Promise<void>[] = []

  constructor(jobs: readonly (ScheduledJob | AskedJob)[], deps: JobsDeps) {
    this.#deps = deps
    this.#scheduled = jobs.map(job => {
      return { job, runs: new JobRuns(job, deps), nextMs: undefined }
    })
  }

  /** Not to be called twice. */
  start(): void {
    const startMs = this.#deps.clock.monotonicMs()
    this.#loops = this.#scheduled.flatMap(each =>
      'schedule' in each.job ? [this.#runAgainAndAgain(each.job, each, startMs)] : [],
    )
  }

  /** What `schedule` says may be different now: a shorter interval brings the next run forward. */
  rescheduled(): void {
    this.#wake.abort(NOT_NEEDED)
    this.#wake = new AbortController()
  }

  /** Ends all runs, and resolves when nothing is done any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(NOT_NEEDED)
    this.rescheduled()
    for (const { runs } of this.#scheduled) runs.cancel()
    await Promise.all([...this.#loops, ...this.#scheduled.map(({ runs }) => runs.idle())])
  }

  list(): ListedJobs {
    const jobs = this.#scheduled.map(each => this.#stateOf(each))
    return { jobs, nowMs: this.#deps.clock.nowMs() }
  }

  async *run(
    name: string,
    {
      dryRun,
      signal,
      args,
    }: { readonly dryRun: boolean; readonly signal: AbortSignal; readonly args?: JobArgs },
  ): AsyncGenerator<JobEvent> {
    const { runs } = this.#find(name)
    if (runs.isPaused) {
      const message = `${name} is paused; "entrepot jobs resume ${name}" lets it run`
      throw new RegistryError('UNAVAILABLE', message)
    }
    if (this.#stopping.signal.aborted)
      throw new RegistryError('UNAVAILABLE', 'this edge is stopping')
    const asked = runs.ask(dryRun, args)
    try {
      yield* this.#follow(asked, signal)
    } finally {
      asked.run.leave()
    }
  }

  pause(name: string): JobState {
    const found = this.#find(name)
    found.runs.pause()
    return this.#stateOf(found)
  }

  resume(name: string): JobState {
    const found = this.#find(name)
    found.runs.resume()
    // What was due meanwhile is due now.
    this.rescheduled()
    return this.#stateOf(found)
  }

  cancel(name: string): JobState {
    const found = this.#find(name)
    found.runs.cancel()
    return this.#stateOf(found)
  }

  /** Its progress, never more often than is worth telling, until it ends. */
  async *#follow({ run, ended }: Asked, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const over = ended.then(
      () => 'over' as const,
      () => 'over' as const,
    )
    const next = () => Promise.race([over, run.changed])
    while ((await unlessAborted(next(), signal)) !== 'over') {
      yield { kind: 'progress', ...run.soFar }
      const waited = new AbortController()
      const wait = this.#deps.clock.sleep(PROGRESS_EVERY_MS, waited.signal).catch(() => {})
      await unlessAborted(Promise.race([over, wait]), signal)
      waited.abort(NOT_NEEDED)
    }
    const { outcome, result } = await ended
    const { gone, ...told } = result
    for (let from = 0; from < gone.length; from += GONE_AT_ONCE)
      yield { kind: 'gone', gone: gone.slice(from, from + GONE_AT_ONCE) }
    yield { kind: 'done', outcome, dryRun: run.dryRun, ...told }
  }

  async #runAgainAndAgain(job: ScheduledJob, scheduled: Scheduled, startMs: number): Promise<void> {
    const { clock } = this.#deps
    const { runs } = scheduled
    let lastMs: number | undefined
    while (!this.#stopping.signal.aborted) {
      const schedule = job.schedule()
      const firstAfterMs = schedule?.firstAfterMs ?? schedule?.everyMs ?? 0
      const nextMs =
        lastMs === undefined ? startMs + firstAfterMs : lastMs + (schedule?.everyMs ?? 0)
      const { dueMs: soonMs = nextMs, notBeforeMs = 0 } = schedule ?? {}
      const dueMs = Math.max(notBeforeMs, Math.min(nextMs, soonMs))
      const isHeld = schedule === undefined || runs.isPaused
      scheduled.nextMs = schedule === undefined ? undefined : dueMs
      const nowMs = clock.monotonicMs()
      if (!isHeld && dueMs <= nowMs) {
        lastMs = nowMs
        await this.#runOnce(runs, schedule)
      } else {
        const waitMs = isHeld ? Number.POSITIVE_INFINITY : dueMs - nowMs
        // Woken early, the loop looks at what holds now.
        await clock.sleep(waitMs, this.#wake.signal).catch(() => {})
      }
    }
  }

  async #runOnce(runs: JobRuns, { dryRun = false, args }: Schedule): Promise<void> {
    const { run, ended } = runs.ask(dryRun, args)
    try {
      await ended
    } catch (error) {
      // The next run tries again.
      noteStorage(this.#deps.note, error)
    } finally {
      run.leave()
    }
  }

  #find(name: string): Scheduled {
    const wanted = parseJobName(name)
    const found = this.#scheduled.find(({ job }) => job.name === wanted)
    if (found === undefined) throw new Error(`job ${wanted} was not given`)
    return found
  }

  #stateOf({ runs, nextMs }: Scheduled): JobState {
    const { clock } = this.#deps
    if (nextMs === undefined) return runs.state
    const inMs = Math.max(0, nextMs - clock.monotonicMs())
    return { ...runs.state, nextAtMs: Math.round(clock.nowMs() + inMs) }
  }
}
