// The job `scrub` (registry/scrub/scrub.ts): when what is here is read once more, and how fast. By
// itself a little at a time, so that all of it is read within the period of the configuration. An
// operator who asks has all of it read at once, as fast as the disk gives it.
import { NOT_NEEDED } from '../async/aborting.ts'
import { type AskedJob, type JobArgs, type JobRun, refuseArgs } from '../registry/job.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { ScrubExtent, ScrubResult } from '../registry/scrub/scrub.ts'
import type { Schedule, Scheduling } from './jobs.ts'

/** After the start of a process there is more urgent work for the disk. */
const FIRST_AFTER_MS = 5 * 60_000
/** Runs note in the catalog how they ended: one commit each. */
const EVERY_MS = 10 * 60_000
/**
 * Content is read again when so much of the period is over since it was read last, and then so fast
 * that all of it could be read in the rest: nothing is read much sooner than it has to be, and all
 * of it in time even where all came in one day.
 */
const DUE_AFTER_SHARE = 0.75
/** Slower, and one large blob would take a run of hours. */
const SLOWEST_BYTES_PER_SECOND = 1024 * 1024
/**
 * What is broken is looked at again so soon, where not at the start of a process: a disk may have
 * failed for a moment, somebody may have brought a file back, and an upstream may be there again.
 */
const BROKEN_AGAIN_MS = 60 * 60_000
/** In one run: each may be a place that takes the disk seconds, and upstreams are asked for it. */
const BROKEN_MAX = 100
/** Of a pause that was too long, so much is made up for: a moment's reading. */
const MADE_UP_MS = 1_000

export interface ScrubSettings {
  /** Within it all that is here is read once; 0 and Infinity: never by itself. */
  readonly periodMs: number
  /** Of what is read by itself, in a second, at most. */
  readonly rateBytes: number
}

export interface ScrubJobDeps {
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs' | 'sleep'>
  readonly catalog: Pick<Catalog, 'totals'>
  /** As they are now. */
  readonly settings: () => ScrubSettings
  readonly scrub: (run: JobRun, extent: ScrubExtent) => Promise<ScrubResult>
}

/** Of a run that is due by itself. */
const DUE: JobArgs = { due: true }

export class ScrubJob implements AskedJob, Scheduling {
  readonly name = 'scrub'
  readonly #deps: ScrubJobDeps
  /** Of the run by itself that is under way. */
  #way: AbortController | undefined
  #isFirst = true

  constructor(deps: ScrubJobDeps) {
    this.#deps = deps
  }

  schedule(): Schedule | undefined {
    const { periodMs } = this.#deps.settings()
    if (periodMs === 0 || periodMs === Number.POSITIVE_INFINITY) return undefined
    return { everyMs: EVERY_MS, firstAfterMs: FIRST_AFTER_MS, args: DUE }
  }

  workOf({ due, ...others }: JobArgs) {
    refuseArgs('scrub', others)
    if (due === true) return { about: 'due', run: (run: JobRun) => this.#readDue(run) }
    // What is under way is read by that as well, and much sooner.
    this.#way?.abort(NOT_NEEDED)
    return { about: 'all', run: (run: JobRun) => this.#readAll(run) }
  }

  #readAll(run: JobRun): Promise<ScrubResult> {
    const { clock, scrub } = this.#deps
    const beforeMs = clock.nowMs()
    const broken = { beforeMs, max: Infinity }
    return scrub(run, { beforeMs, broken, isOver: () => false, between: async () => {} })
  }

  async #readDue(run: JobRun): Promise<ScrubResult> {
    const { clock, catalog, scrub, settings } = this.#deps
    const { periodMs, rateBytes } = settings()
    const way = new AbortController()
    this.#way = way
    const signal = AbortSignal.any([run.signal, way.signal])
    const endMs = clock.monotonicMs() + EVERY_MS
    const { contentBytes } = await catalog.totals()
    const bytesPerMs = contentBytes / ((1 - DUE_AFTER_SHARE) * periodMs)
    const between = createPace(clock, {
      bytesPerSecond: Math.min(rateBytes, Math.max(SLOWEST_BYTES_PER_SECOND, bytesPerMs * 1000)),
      signal,
    })
    const extent = {
      beforeMs: clock.nowMs() - DUE_AFTER_SHARE * periodMs,
      broken: { beforeMs: clock.nowMs() - (this.#isFirst ? 0 : BROKEN_AGAIN_MS), max: BROKEN_MAX },
      isOver: () => clock.monotonicMs() >= endMs,
      between,
    }
    this.#isFirst = false
    try {
      return await scrub({ ...run, signal }, extent)
    } finally {
      this.#way = undefined
    }
  }
}

/** Resolves when so many bytes may have been read. @throws the signal's reason */
function createPace(
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  { bytesPerSecond, signal }: { readonly bytesPerSecond: number; readonly signal: AbortSignal },
): (bytes: number) => Promise<void> {
  let readyMs = clock.monotonicMs()
  return async bytes => {
    const nowMs = clock.monotonicMs()
    readyMs = Math.max(readyMs, nowMs - MADE_UP_MS) + (bytes / bytesPerSecond) * 1000
    if (readyMs > nowMs) await clock.sleep(readyMs - nowMs, signal)
  }
}
