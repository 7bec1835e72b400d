// The runs of one job: one at a time. Whoever asks while one is under way gets the next one, which
// sees all that was there when it was asked for; all who wait for that share it. Jobs beside each
// other know nothing of each other.
import { NOT_NEEDED } from '../async/aborting.ts'
import { Turns } from '../async/turns.ts'
import { noteStorage } from '../registry/best-effort.ts'
import {
  type AskedJob,
  type Job,
  type JobArgs,
  type JobName,
  type JobOutcome,
  type JobProgress,
  type JobResult,
  type JobState,
  type JobWork,
  refuseArgs,
} from '../registry/job.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { LastRuns } from './last-runs.ts'

const NOTHING: JobProgress = { count: 0, freedBytes: 0 }

/** One run, as those see it who asked for it. */
export class Run {
  readonly dryRun: boolean
  readonly #ending = new AbortController()
  #soFar = NOTHING
  #changed = Promise.withResolvers<void>()
  #askers = 0

  constructor(dryRun: boolean) {
    this.dryRun = dryRun
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  get soFar(): JobProgress {
    return this.#soFar
  }

  /** Resolves with the next progress. */
  get changed(): Promise<void> {
    return this.#changed.promise
  }

  note(soFar: JobProgress): void {
    this.#soFar = soFar
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  join(): void {
    this.#askers += 1
  }

  /** The last who leaves ends it. */
  leave(): void {
    this.#askers -= 1
    if (this.#askers === 0) this.cancel()
  }

  cancel(): void {
    this.#ending.abort(NOT_NEEDED)
  }
}

/** A run that was asked for. */
export interface Asked {
  readonly run: Run
  /** Rejects with what the run throws. */
  readonly ended: Promise<{ readonly outcome: JobOutcome; readonly result: JobResult }>
}

export interface JobRunsDeps {
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  readonly note: NoteEvent
  readonly lastRuns: LastRuns
}

export class JobRuns {
  readonly #job: Job | AskedJob
  readonly #deps: JobRunsDeps
  readonly #turns = new Turns()
  /** Not begun yet, by what they are to do. */
  readonly #waiting = new Map<string, Asked>()
  #running: { readonly run: Run; readonly sinceMs: number } | undefined
  #paused: PromiseWithResolvers<void> | undefined

  constructor(job: Job | AskedJob, deps: JobRunsDeps) {
    this.#job = job
    this.#deps = deps
  }

  get name(): JobName {
    return this.#job.name
  }

  get isPaused(): boolean {
    return this.#paused !== undefined
  }

  get state(): JobState {
    const { name, isPaused } = this
    const running = this.#running
    const now = running && { ...running.run.soFar, dryRun: running.run.dryRun }
    const last = this.#deps.lastRuns.find(name)
    return {
      name,
      isPaused,
      ...(now === undefined ? {} : { running: { ...now, sinceMs: running?.sinceMs ?? 0 } }),
      ...(last === undefined ? {} : { last }),
    }
  }

  /**
   * Whoever asks has joined it, and leaves it when it is not wanted any more.
   * @throws RegistryError for arguments that are not this job's
   */
  ask(dryRun: boolean, args: JobArgs = {}): Asked {
    const work = workOf(this.#job, args)
    const waiting = this.#waiting.get(keyOf(dryRun, work))
    const isOver = waiting === undefined || waiting.run.signal.aborted
    const asked = isOver ? this.#begin(new Run(dryRun), work) : waiting
    asked.run.join()
    return asked
  }

  pause(): void {
    this.#paused ??= Promise.withResolvers()
  }

  resume(): void {
    this.#paused?.resolve()
    this.#paused = undefined
  }

  cancel(): void {
    for (const { run } of this.#waiting.values()) run.cancel()
    this.#running?.run.cancel()
  }

  /** Resolves when no run is under way and none waits. */
  async idle(): Promise<void> {
    await this.#turns.take(this.name, async () => {})
  }

  #begin(run: Run, work: JobWork): Asked {
    const key = keyOf(run.dryRun, work)
    const ended = this.#turns.take(this.name, () => {
      if (this.#waiting.get(key)?.run === run) this.#waiting.delete(key)
      return this.#run(run, work)
    })
    // Who has gone does not hear of it.
    ended.catch(() => {})
    const asked = { run, ended }
    this.#waiting.set(key, asked)
    return asked
  }

  async #run(run: Run, work: JobWork): Promise<{ outcome: JobOutcome; result: JobResult }> {
    const { signal, dryRun } = run
    if (signal.aborted) return { outcome: 'cancelled', result: { gone: [], ...NOTHING } }
    const { clock, note, lastRuns } = this.#deps
    const beganAtMs = clock.nowMs()
    const beganMs = clock.monotonicMs()
    const keep = async (outcome: JobOutcome, more: JobProgress & { readonly reason?: string }) => {
      const tookMs = Math.round(clock.monotonicMs() - beganMs)
      if (dryRun) return
      const last = { outcome, beganAtMs, tookMs, ...more }
      await lastRuns.note(this.name, last).catch((error: unknown) => noteStorage(note, error))
    }
    this.#running = { run, sinceMs: beganAtMs }
    try {
      const result = await work.run({
        signal,
        dryRun,
        progress: soFar => run.note(soFar),
        pause: () => this.#pause(signal),
      })
      const outcome = signal.aborted ? 'cancelled' : 'done'
      await keep(outcome, { count: result.count, freedBytes: result.freedBytes })
      return { outcome, result }
    } catch (error) {
      await keep('failed', {
        ...run.soFar,
        reason: error instanceof Error ? error.message : String(error),
      })
      throw error
    } finally {
      this.#running = undefined
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => setImmediate(resolve))
    while (this.#paused !== undefined && !signal.aborted) {
      const { promise } = this.#paused
      const over = Promise.withResolvers<void>()
      const end = () => over.resolve()
      signal.addEventListener('abort', end, { once: true })
      await Promise.race([promise, over.promise])
      signal.removeEventListener('abort', end)
    }
  }
}

function workOf(job: Job | AskedJob, args: JobArgs): JobWork {
  if ('workOf' in job) return job.workOf(args)
  refuseArgs(job.name, args)
  return { about: '', run: run => job.run(run) }
}

function keyOf(dryRun: boolean, { about }: JobWork): string {
  return `${dryRun ? 'dry' : 'wet'} ${about}`
}
