// Lets content leave when there is no room: what nothing needs, then the coldest images
// (docs/adr/0030-eviction.md). All who need room share one run, and wait for bytes that are really
// free. How much must leave is the ledger's business, what may leave judge.ts's, and that files go
// in safety leave/leaving.ts's.
import type { Repository } from '../../oci/reference.ts'
import { NOT_NEEDED } from '../../async/aborting.ts'
import { Turns } from '../../async/turns.ts'
import { within } from '../../async/within.ts'
import { noteStorage } from '../best-effort.ts'
import type { Clock } from '../ports/clock.ts'
import type { EvictedFor } from '../ports/events.ts'
import type { RoomByEviction } from '../space/eviction.ts'
import type { FilesWanted } from '../space/file-room.ts'
import { STAGES, stagesForFiles } from './candidate.ts'
import {
  EvictionRun,
  type EvictionRunDeps,
  type Freed,
  type EvictionOutcome,
} from './eviction-run.ts'
import { forgetGhosts } from './forget-ghosts.ts'
import type { Evict } from './gone.ts'
import { LookedFor } from './looked.ts'
import type { ScanPlace } from './scan.ts'
import type { Quota } from '../routing/quota.ts'
import { QuotaStandings } from './quotas.ts'
import { Stuck, type StuckDeps } from './stuck.ts'
import { BatchTeller } from './tell-batch.ts'
import { Vain, type VainDeps } from './vain.ts'
import { WaitingForRoom } from './waiting-for-room.ts'

/**
 * That nothing more could leave holds for so long: who asks meanwhile is not made to wait for
 * another look at everything.
 */
const STUCK_FOR_MS = 5_000

/**
 * In which it is looked whether enough could leave: what is above a ceiling mostly could in its
 * turn as well, and is looked for among all only where that is not enough.
 */
const STAGES_ASKED = STAGES.toSorted((a, b) => Number(a.isOver) - Number(b.isOver))

/**
 * Who needs room waits for three seconds, and a commit takes some milliseconds: a catalog that
 * writes nothing is not waited for, since what was used before these seconds is written down.
 */
const USES_WAIT_MS = 500

export interface EvictorDeps extends EvictionRunDeps, Pick<StuckDeps, 'note' | 'uploadsBytes'> {
  readonly clock: EvictionRunDeps['clock'] & Pick<Clock, 'sleep'>
  readonly leaving: EvictionRunDeps['leaving'] & VainDeps['leaving']
  /** Resolves when what was used until now is in the catalog, or lost. */
  readonly usesWritten: () => Promise<void>
  /** What the data directory may take; shares of quotas are of that. @throws StoreError */
  readonly maxBytes: () => Promise<number>
}

/** `leanBytes`: files are wanted, first of what takes no more for each. */
interface Trim extends Evict {
  readonly leanBytes?: number
}

export class Evictor implements RoomByEviction {
  underWay: Promise<void> | undefined
  readonly #deps: EvictorDeps
  readonly #turns = new Turns()
  readonly #waiting: WaitingForRoom
  #isRunning = false
  #place: ScanPlace | undefined
  readonly #looked: LookedFor
  readonly #teller: BatchTeller
  readonly #stuck: Stuck
  readonly #vain: Vain
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(deps: EvictorDeps) {
    this.#deps = deps
    this.#waiting = new WaitingForRoom(() => deps.quotas())
    this.#looked = new LookedFor(deps.clock, STUCK_FOR_MS)
    this.#teller = new BatchTeller(deps)
    this.#stuck = new Stuck(deps, STUCK_FOR_MS)
    this.#vain = new Vain(deps)
  }

  makeRoom(bytes: number, signal: AbortSignal, of?: Repository): Promise<number> {
    return this.evict(bytes, { signal, of })
  }

  /** As `makeRoom`. */
  evict(bytes: number, how: Evict): Promise<number> {
    if (bytes <= 0 || how.signal.aborted || this.#isStopping) return Promise.resolve(0)
    const freed = this.#waiting.join(bytes, how)
    if (!this.#isRunning) this.#running = this.#run()
    return freed
  }

  makeFiles({ count, bytesEach }: FilesWanted, signal: AbortSignal): Promise<number> {
    const made = this.#trim(count, { signal, leanBytes: bytesEach })
    return made.catch((error: unknown) => {
      noteStorage(this.#deps.note, error)
      return 0
    })
  }

  async evictableBytes(of?: Repository): Promise<number> {
    // What a floor held back from others may leave for its own.
    const isOwn = of !== undefined && this.#deps.quotas().of(of).length > 0
    return await this.#stuck.evictableBytes({ isOwn })
  }

  refused(): void {
    this.#stuck.refused().catch((error: unknown) => noteStorage(this.#deps.note, error))
  }

  async couldMake(bytes: number, signal: AbortSignal, of?: Repository): Promise<boolean> {
    const own = of === undefined ? [] : this.#deps.quotas().of(of)
    const known = () => this.#looked.isEnough({ bytes, own })
    // Those that ask at once wait for one look, and mostly have their answer by it.
    const look = async () => known() ?? (!signal.aborted && (await this.#look(bytes, own)))
    return known() ?? (await this.#turns.take('look', look))
  }

  async #look(bytes: number, own: readonly Quota[]): Promise<boolean> {
    let leftBytes = bytes
    const run = new EvictionRun(this.#deps, {
      standings: await this.#standings(),
      stages: STAGES_ASKED,
      wanted: () => (this.#isStopping ? 0 : leftBytes),
      isOwn: quota => own.includes(quota),
    })
    await run.foretell(chosenBytes => {
      leftBytes -= chosenBytes
    })
    if (this.#isStopping) return false
    this.#looked.note(leftBytes <= 0, { bytes, own })
    // What leaves for its own says nothing of others.
    if (leftBytes > 0 && own.length === 0) await this.#stuck.note(bytes - leftBytes)
    return leftBytes <= 0
  }

  /**
   * In a run of its own, lets leave what is above the ceilings of quotas, and then so much in all.
   * Until `signal` is aborted. @throws StoreError
   */
  async trim(bytes: number, how: Evict): Promise<void> {
    if (bytes <= 0 && this.#deps.quotas().list().length === 0) return
    await this.#trim(bytes, how)
  }

  /** Returns how many bytes became free; `amount` is of files where those are wanted. */
  #trim(amount: number, how: Trim): Promise<number> {
    return this.#turns.take('run', async () => {
      let [wanted, bytes] = [amount, 0]
      const before = await this.#vain.retry()
      const freed: Freed = (freedBytes, files) => {
        wanted -= how.leanBytes === undefined ? freedBytes : files
        bytes += freedBytes
        this.#waiting.noteFreed(freedBytes)
      }
      freed(before.bytes, before.files)
      if (before.isOver) return bytes
      let outcome: EvictionOutcome
      do {
        const run = await this.#openTrim(() => wanted, how)
        outcome = await this.#carryOut(run, { freed, why: amount <= 0 ? 'quota' : 'room' })
      } while (outcome === 'outdated')
      return bytes
    })
  }

  /** Tells what `trim` would let leave now, in its order. @throws StoreError */
  async foretell(bytes: number, how: Evict): Promise<void> {
    let wantedBytes = bytes
    const run = await this.#openTrim(() => wantedBytes, how)
    await run.foretell(chosenBytes => {
      wantedBytes -= chosenBytes
    })
  }

  /**
   * Lets nothing more leave. Resolves when what was about to has left and was told of: until then
   * the catalog is needed. Whoever waits for room does without.
   */
  async stop(): Promise<void> {
    this.#stopping.abort(NOT_NEEDED)
    this.#waiting.endAll()
    const last = async (): Promise<void> => {}
    const ends = () => ['run', 'look'].map(each => this.#turns.take(each, last))
    await this.#deps.haste.of(() => Promise.all([this.#running, ...ends()]))
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  async #openTrim(wanted: () => number, { signal, told, leanBytes }: Trim): Promise<EvictionRun> {
    return new EvictionRun(this.#deps, {
      standings: await this.#standings(),
      stages: leanBytes === undefined ? STAGES : stagesForFiles(leanBytes),
      measure: leanBytes === undefined ? 'bytes' : 'files',
      wanted: ({ isOver }) =>
        signal.aborted || this.#isStopping ? 0 : isOver ? Number.POSITIVE_INFINITY : wanted(),
      isOwn: () => false,
      told,
    })
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    try {
      let isOver = false
      // Nothing is awaited between the last look and the end: whoever comes then begins a run.
      while (this.#waiting.isAny && !isOver)
        isOver = await this.#turns.take('run', () => this.#runOnce())
    } catch (error) {
      // Whoever waits does without; the next run tries again.
      noteStorage(this.#deps.note, error)
      await this.#stuck.noteUnwritten(error)
    }
    this.#isRunning = false
    this.#waiting.endAll()
  }

  /** Resolves to whether another one would be of no use. */
  async #runOnce(): Promise<boolean> {
    const before = await this.#vain.retry()
    this.#waiting.noteFreed(before.bytes)
    if (before.isOver) return true
    const run = new EvictionRun(this.#deps, {
      standings: await this.#standings(),
      stages: STAGES,
      from: this.#place,
      wanted: () => this.#waiting.wantedBytes,
      isOwn: quota => this.#waiting.isOwn(quota),
      told: this.#waiting.toldOfNow(),
    })
    const freed: Freed = bytes => this.#waiting.noteFreed(bytes)
    const outcome = await this.#carryOut(run, { freed, why: 'room' })
    // What was passed over by what does not hold any more is to be looked at once more.
    this.#place = outcome === 'outdated' ? undefined : run.place
    if (outcome === 'exhausted') await this.#stuck.note(0)
    return outcome === 'exhausted' || outcome === 'in vain'
  }

  async #carryOut(
    run: EvictionRun,
    { freed, why }: { freed: Freed; why: EvictedFor },
  ): Promise<EvictionOutcome> {
    const running = run.run(freed)
    this.underWay = Promise.allSettled([running]).then(() => {})
    try {
      const outcome = await running
      if (outcome === 'in vain') this.#vain.note()
      return outcome
    } finally {
      this.underWay = undefined
      this.#teller.tell(run.batch, why)
      await forgetGhosts(this.#deps)
    }
  }

  /** What each run begins with: what was used a moment ago is no colder than the rest. */
  async #standings(): Promise<QuotaStandings> {
    const { catalog, clock, usesWritten } = this.#deps
    await within(clock, USES_WAIT_MS, usesWritten())
    const maxBytes = this.#deps.quotas().list().length === 0 ? 0 : await this.#deps.maxBytes()
    return await QuotaStandings.look(this.#deps.quotas(), { catalog, maxBytes })
  }
}
