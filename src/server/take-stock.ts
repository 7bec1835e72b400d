// After an end out of order, beside the traffic: facts are compared with the catalog, then files
// that no row tells of are adopted. So again after a pause, where disk or catalog failed, or left a
// file without a row, and when something that was lost was given up. A part of the composition
// root: it says in which order, and what the log is told.
import type { Logger } from '../observe/log.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { FactStore } from '../registry/ports/facts.ts'
import type { RunningRegistry } from '../registry/running-registry.ts'
import type { Stock } from '../registry/facts/stock.ts'

export interface StockDeps {
  /** As this start found it: the catalog knows all that facts tell of. */
  readonly isCompared: boolean
  /** The same: there is no file that no row tells of. */
  readonly isAdopted: boolean
  readonly facts: Pick<FactStore, 'failures'>
  readonly logger: Logger
  readonly clock: Pick<Clock, 'sleep'>
}

type Work = Pick<RunningRegistry, 'compareFacts' | 'adoptFiles'>

/**
 * A disk that failed once is soon tried again. One that goes on failing is read through once an
 * hour, at a cost of some seconds, for as long as this edge runs: it may run for years.
 */
const FIRST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 60 * 60 * 1000

const NOT_COMPARED = 'facts and catalog could not be compared'
const NOT_ADOPTED = 'files without rows were not adopted'
const UNSEEN = 'the disk cannot look at some of them'
const NOT_COUNTED = 'what they take is not counted'
const NOR_LEAVES =
  'nor, as something is lost, do they leave once they are pulled; where more than 256 are such, or a directory, nothing does that is pulled. Where the disk never can, stop the edge and check its file system, or remove them'

/** Of files that were adopted: why they do not leave. */
const STAYING = {
  'all found': undefined,
  'some lost':
    'one of these files may be of what is lost, and none leaves before that is given up, with "entrepot purge REPOSITORY@DIGEST --kept", or is found by a start: "entrepot purge REPOSITORY --dry-run" tells what is lost of one; push it again, or bring its file back',
  unfinished:
    'one of these files may be of what facts tell of, and none leaves before those are compared with the catalog: that is tried again',
} as const

type Found = keyof typeof STAYING

interface Reached {
  readonly found: Found
  readonly isAdopted: boolean
}

export class StockTaking implements Stock {
  readonly #deps: StockDeps
  readonly #stopping = new AbortController()
  /** Failures are told once: those that follow have the same cause. */
  readonly #failed = new Set<string>()
  #isCompared: boolean
  /** How often files were missed, and how many of these times they were looked for since. */
  #missed: number
  #lookedFor = 0
  /** Of the failures of facts, so many were before a look that found all. */
  #mended: number
  #lost: number | undefined
  #work: Work | undefined
  #running: Promise<void> | undefined
  #isAnew = false
  #wake = new AbortController()

  constructor(deps: StockDeps) {
    this.#deps = deps
    this.#isCompared = deps.isCompared
    this.#missed = deps.isAdopted ? 0 : 1
    this.#mended = deps.isCompared ? deps.facts.failures : 0
    this.#lost = deps.isCompared ? 0 : undefined
  }

  get isCompared(): boolean {
    return this.#isCompared
  }

  get isAllFound(): boolean {
    return this.#isCompared && this.#deps.facts.failures === this.#mended
  }

  get lost(): number | undefined {
    return this.#lost
  }

  /** And each file has a row. */
  get isTaken(): boolean {
    return this.isAllFound && this.#isAdopted
  }

  /** There may be files that no row tells of: they are looked for after a pause. */
  missesFiles(): void {
    this.#missed += 1
    if (this.#work !== undefined) this.#run(this.#work, FIRST_PAUSE_MS)
  }

  /** Does what this start has to do. */
  begin(work: Work): void {
    this.#work = work
    if (!this.#isCompared || !this.#isAdopted) this.#run(work)
  }

  lookAgain(): void {
    if (this.#work === undefined || this.isTaken) return
    this.#isAnew = true
    this.#wake.abort()
    this.#run(this.#work)
  }

  get #isAdopted(): boolean {
    return this.#missed === this.#lookedFor
  }

  /** What is unfinished begins again at the next start. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this edge is stopping'))
    await this.#running
  }

  /** One at a time. */
  #run(work: Work, pauseMs = 0): void {
    if (this.#stopping.signal.aborted) return
    this.#running ??= this.#take(work, pauseMs).finally(() => {
      this.#running = undefined
      if (this.#isAnew) this.#run(work)
      else if (!this.#isAdopted) this.#run(work, FIRST_PAUSE_MS)
    })
  }

  /** Until all is done, or this edge stops. */
  async #take(work: Work, beforeMs: number): Promise<void> {
    if (beforeMs > 0) await this.#pause(beforeMs)
    let pauseMs = FIRST_PAUSE_MS
    let reached: Reached = {
      found: this.#isCompared ? 'all found' : 'unfinished',
      isAdopted: this.#isAdopted,
    }
    while (!this.#stopping.signal.aborted) {
      reached = await this.#goOn(work, reached)
      if (this.#isAnew) continue
      if (reached.found !== 'unfinished' && reached.isAdopted) return
      await this.#pause(pauseMs)
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    }
  }

  /** Compares what is not compared, and then adopts what is not adopted. */
  async #goOn(work: Work, before: Reached): Promise<Reached> {
    const mustCompare = before.found === 'unfinished' || this.#isAnew
    this.#isAnew = false
    const found = mustCompare ? await this.#compare(work) : before.found
    // Also where facts could not be compared: as long as a file has no row, all that is pulled may
    // be that file, and does not leave. What is adopted then stays, until all is found: so it is
    // adopted once more by then, which says that it may leave.
    const isAllAdopted = before.isAdopted && this.#isAdopted
    const mustAdopt = !isAllAdopted || (mustCompare && found === 'all found')
    // One that is missed meanwhile may lie where was looked before.
    const missed = this.#missed
    const isDone = !mustAdopt || (await this.#adopt(work, found))
    if (isDone) this.#lookedFor = missed
    const isAdopted = isDone && this.#isAdopted
    // A change that failed meanwhile is looked for like those before.
    const hasFailedSince = found === 'all found' && !this.isAllFound
    return { found: hasFailedSince ? 'unfinished' : found, isAdopted }
  }

  /** Ends early when somebody wants it to look again, or this edge stops. */
  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController()
    const woken = AbortSignal.any([this.#stopping.signal, this.#wake.signal])
    await this.#deps.clock.sleep(ms, woken).catch(() => {})
  }

  async #compare(work: Work): Promise<Found> {
    const { facts } = this.#deps
    const { failures } = facts
    try {
      const report = await work.compareFacts(this.#stopping.signal)
      const isOver = this.#failed.delete(NOT_COMPARED)
      const isNews = isOver || report.mended + report.lost + report.unreadable > 0
      // Whoever brought back or gave up what was lost looks for this.
      this.#deps.logger[isNews ? 'warn' : 'info'](
        { ...report },
        'what is kept beside the content was compared with the catalog',
      )
      // A fact that cannot be read may be of anything.
      this.#lost = report.lost + report.unreadable
      if (this.#lost > 0) return 'some lost'
      if (facts.failures > failures) return 'unfinished'
      this.#isCompared = true
      this.#mended = failures
      return 'all found'
    } catch (error) {
      this.#fail(NOT_COMPARED, error, 'files that no row told of stay')
      return 'unfinished'
    }
  }

  async #adopt(work: Work, found: Found): Promise<boolean> {
    const { logger } = this.#deps
    const { signal } = this.#stopping
    try {
      const isAllFound = found === 'all found' && this.isAllFound
      const report = await work.adoptFiles({ isAllFound, signal })
      const isWhole = report.passedOver === 0
      const isOver = isWhole && this.#failed.delete(NOT_ADOPTED)
      const isNews = isOver || report.files > 0
      // What failed since is looked for: they stay until then.
      const why = found === 'all found' && !isAllFound ? 'unfinished' : found
      const hint = report.files > 0 ? STAYING[why] : undefined
      const told = hint === undefined ? { ...report } : { ...report, hint }
      logger[isNews ? 'warn' : 'debug'](told, 'files without rows were adopted')
      // What could not be looked at may be here, and no row tells of it.
      const untilThen = isAllFound ? NOT_COUNTED : `${NOT_COUNTED}, ${NOR_LEAVES}`
      if (!isWhole) this.#fail(NOT_ADOPTED, new Error(UNSEEN), untilThen)
      return isWhole
    } catch (error) {
      this.#fail(NOT_ADOPTED, error, 'where something is lost, what is pulled meanwhile stays')
      return false
    }
  }

  #fail(what: string, error: unknown, untilThen: string): void {
    const { logger } = this.#deps
    if (this.#stopping.signal.aborted) return
    const level = this.#failed.has(what) ? 'debug' : 'error'
    this.#failed.add(what)
    const hint = `look for what the disk or the catalog said before; it is tried again in a minute, then ever less often, and until it is done ${untilThen}`
    logger[level]({ err: error, hint }, what)
  }
}
