// The job `gc`: takes away what nothing needs any more. What that is, is the registry's part; this
// is when: as the configuration says, and as soon as the grace of something is over, so that what a
// delete gives back does not wait for the next pass.
import { alsoNoted, type Job, type JobResult, type JobRun } from '../registry/job.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { Schedule, Scheduling } from './jobs.ts'

/** After the start of a process there is more urgent work for the disk. */
const FIRST_AFTER_MS = 60_000
/** However many deletes follow each other: their bytes are back so much later at most. */
const BETWEEN_RUNS_MS = 60_000
const MINUTE_MS = 60_000

export interface CollectionDeps {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** `storage.gc.interval`, as it is now. */
  readonly intervalMs: () => number
  /** @throws StoreError */
  readonly collect: (run: JobRun) => Promise<JobResult>
  /** In how long there is something to take; undefined when nothing waits. @throws StoreError */
  readonly graceLeftMs: () => Promise<number | undefined>
  /** Told when `schedule` says something else. */
  readonly rescheduled: () => void
}

export class Collection implements Job, Scheduling {
  readonly name = 'gc'
  readonly #deps: CollectionDeps
  #endedMs = Number.NEGATIVE_INFINITY
  /** When the next grace is over, on the monotonic clock. */
  #dueMs: number | undefined
  /** Is the grace another one than at the last run? */
  #isChanged = false
  #looking: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(deps: CollectionDeps) {
    this.#deps = deps
  }

  schedule(): Schedule {
    const everyMs = this.#deps.intervalMs()
    const schedule = { everyMs, firstAfterMs: Math.min(FIRST_AFTER_MS, everyMs) }
    const wantedMs = this.#isChanged ? 0 : this.#dueMs
    if (wantedMs === undefined) return schedule
    return { ...schedule, dueMs: Math.max(wantedMs, this.#endedMs + BETWEEN_RUNS_MS) }
  }

  async run(run: JobRun): Promise<JobResult> {
    const { collect, clock } = this.#deps
    if (run.dryRun) return alsoNoted(await collect(run), whatWaits(await this.#leftMs()))
    // One that fails is tried again at the pace of the configuration.
    this.#dueMs = undefined
    this.#isChanged = false
    const result = await collect(run)
    this.#endedMs = clock.monotonicMs()
    await this.loosened()
    return alsoNoted(result, whatWaits(await this.#leftMs()))
  }

  /**
   * Something waits for the end of its grace. Resolves when that is known here; those who call
   * meanwhile share the next look.
   */
  loosened(): Promise<void> {
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined
      this.#looking = this.#look()
      return this.#looking
    })
    return this.#next
  }

  /** The grace is another one: a pass takes what is over by it. */
  graceChanged(): void {
    this.#isChanged = true
    this.#deps.rescheduled()
  }

  async #look(): Promise<void> {
    const { clock, rescheduled } = this.#deps
    const leftMs = await this.#leftMs()
    this.#dueMs = leftMs === undefined ? undefined : clock.monotonicMs() + leftMs
    rescheduled()
  }

  /** What is not found now, the next pass by the configuration takes. */
  #leftMs(): Promise<number | undefined> {
    return this.#deps.graceLeftMs().catch(() => undefined)
  }
}

/** Whoever deleted to make room looks here for the bytes, and finds that nothing went. */
function whatWaits(leftMs: number | undefined): string | undefined {
  // Over already: a dry run has named it among what would go.
  if (leftMs === undefined || leftMs <= 0) return undefined
  const minutes = Math.max(1, Math.ceil(leftMs / MINUTE_MS))
  return `what was deleted stays until storage.gc.delay is over, for pushes that count on it: the next of it goes within ${minutes} min`
}
