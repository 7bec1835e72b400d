// A job: work that is done again and again while the process runs, and when an operator asks for
// it, and that takes things away. What it takes and why is the job's own part; when it runs, and
// who is told, is upkeep's.
import { RegistryError } from '../oci/errors.ts'

/** What operators call them. */
export const JOB_NAMES = ['cleanup', 'evict', 'gc', 'purge', 'retain', 'scrub', 'uploads'] as const

export type JobName = (typeof JOB_NAMES)[number]

/** What went, or in a dry run would go. */
export interface Gone {
  /** `docker.io/library/alpine:3.20`, `docker.io/library/alpine@sha256:…` or a digest alone. */
  readonly what: string
  /** For people: `not pulled for 34 days`. */
  readonly reason: string
  /** That the disk has back by it; 0 where all of it is still needed by something else. */
  readonly bytes: number
}

/** So far. */
export interface JobProgress {
  readonly count: number
  readonly freedBytes: number
}

export interface JobResult {
  /** The first of them, at most GONE_TOLD_MAX. */
  readonly gone: readonly Gone[]
  /** Of all. */
  readonly count: number
  /** Of all. */
  readonly freedBytes: number
  /** For people: why no more goes, where they may wonder. */
  readonly note?: string
}

/** How one run of a job is asked to behave. */
export interface JobRun {
  /** Once it is aborted the run MUST end soon, and resolve with what it did until then. */
  readonly signal: AbortSignal
  /** MUST change nothing, and tell what would go. */
  readonly dryRun: boolean
  /** Cheap; at most once for each thing that went. */
  readonly progress: (soFar: JobProgress) => void
  /**
   * To be awaited between steps that take some milliseconds: lets others run, and resolves late
   * while an operator has paused the job. Never rejects.
   */
  readonly pause: () => Promise<void>
}

export interface Job {
  readonly name: JobName
  /** @throws StoreError; RegistryError for what was asked wrongly. What was done stays so. */
  run(run: JobRun): Promise<JobResult>
}

/** What a run is about: a JSON object, which only its job understands. */
export type JobArgs = Readonly<Record<string, unknown>>

/** What one run is to do. */
export interface JobWork extends Pick<Job, 'run'> {
  /** The same text for all that mean the same: who asks for that shares the run that waits. */
  readonly about: string
}

/** One whose runs are settled when they are asked for, and not when they begin. */
export interface AskedJob {
  readonly name: JobName
  /** @throws RegistryError for what it does not understand, or was not told */
  workOf(args: JobArgs): JobWork
}

/** @throws RegistryError for any: the job takes none */
export function refuseArgs(name: JobName, args: JobArgs): void {
  if (Object.keys(args).length === 0) return
  throw new RegistryError('NAME_INVALID', `${name} takes no arguments`)
}

/** Results are kept whole in memory: some megabytes. */
const GONE_TOLD_MAX = 10_000

/** Adds up what goes, and tells of it. */
export class Tally {
  readonly #gone: Gone[] = []
  readonly #progress: JobRun['progress']
  #count = 0
  #freedBytes = 0

  constructor({ progress }: Pick<JobRun, 'progress'>) {
    this.#progress = progress
  }

  add(gone: Gone): void {
    if (this.#gone.length < GONE_TOLD_MAX) this.#gone.push(gone)
    this.#count += 1
    this.#freedBytes += gone.bytes
    this.#progress({ count: this.#count, freedBytes: this.#freedBytes })
  }

  result(): JobResult {
    return { gone: this.#gone, count: this.#count, freedBytes: this.#freedBytes }
  }
}

/** With one more thing to say. */
export function alsoNoted<Result extends JobResult>(
  result: Result,
  note: string | undefined,
): Result {
  if (note === undefined) return result
  return { ...result, note: result.note === undefined ? note : `${result.note}; ${note}` }
}

/** How a run ended. */
export const JOB_OUTCOMES = ['done', 'cancelled', 'failed'] as const
export type JobOutcome = (typeof JOB_OUTCOMES)[number]

export interface LastRun extends JobProgress {
  readonly outcome: JobOutcome
  readonly beganAtMs: number
  readonly tookMs: number
  /** Of one that failed. */
  readonly reason?: string
}

export interface JobState {
  readonly name: JobName
  readonly isPaused: boolean
  /** Absent while it does not run. */
  readonly running?: JobProgress & { readonly dryRun: boolean; readonly sinceMs: number }
  /** Absent when nothing brings about a run but an operator. */
  readonly nextAtMs?: number
  /** Of this process or an earlier one; dry runs aside. */
  readonly last?: LastRun
}

export type JobEvent =
  | ({ readonly kind: 'progress' } & JobProgress)
  /** What went, in pieces: the text of all of it at once would take as much again. */
  | { readonly kind: 'gone'; readonly gone: readonly Gone[] }
  /** The last one, behind all of those. */
  | ({ readonly kind: 'done'; readonly outcome: JobOutcome; readonly dryRun: boolean } & Omit<
      JobResult,
      'gone'
    >)

export interface ListedJobs {
  readonly jobs: readonly JobState[]
  /** The server's clock, for ages. */
  readonly nowMs: number
}

/** What operators do with jobs. Every method throws RegistryError for what is no job. */
export interface JobControl {
  list(): ListedJobs
  /**
   * One run that begins now, or when the one under way has ended; whoever asks for the same
   * meanwhile is told of the same run. It is cancelled when all who asked for it have gone. Ends
   * after `done`. `args`: for those that take some. Default none.
   * @throws RegistryError while the job is paused, and for `args` that are not the job's; what the
   * run throws
   */
  run(
    name: string,
    options: {
      readonly dryRun: boolean
      readonly signal: AbortSignal
      readonly args?: JobArgs
    },
  ): AsyncIterable<JobEvent>
  /** None begins until `resume`, and the one under way stands still at its next step. */
  pause(name: string): JobState
  resume(name: string): JobState
  /** Ends the run under way and those that wait. No effect when there is none. */
  cancel(name: string): JobState
}

/** @throws RegistryError NAME_INVALID */
export function parseJobName(text: string): JobName {
  const name = JOB_NAMES.find(each => each === text)
  if (name !== undefined) return name
  throw new RegistryError('NAME_INVALID', `there is no job "${text}", but ${JOB_NAMES.join(', ')}`)
}
