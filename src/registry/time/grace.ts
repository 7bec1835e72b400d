// The grace of what nothing needs any more: when it begins, how long it is, and when the next of it
// is over. Whoever deletes an index by mistake, and pushes it again until then, sends its manifest
// alone: its images are still in the repository. What only a deleted image listed has left it with
// the image, and is sent again; its file is there until then, and spares a download to whoever
// pulls it through.
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { TimeKeeper } from './time-keeper.ts'
import type { TimeRun } from './time-run.ts'

export interface BeginGraceDeps {
  readonly catalog: Pick<Catalog, 'stampLoose'>
  readonly clock: Pick<Clock, 'nowMs'>
  /** Told that something has become loose. MUST NOT throw. Default nobody. */
  readonly loosened?: (() => void) | undefined
}

/**
 * Of all that has become loose, or follows what was deleted. What cannot be written down, the next
 * pass writes down.
 */
export async function beginGrace({ catalog, clock, loosened }: BeginGraceDeps): Promise<void> {
  await catalog.stampLoose(clock.nowMs()).catch(() => {})
  loosened?.()
}

export interface GracesDeps {
  readonly catalog: Pick<Catalog, 'listJobNotes' | 'noteJob' | 'firstLooseAt' | 'firstFollowsAt'>
  readonly clock: Pick<Clock, 'nowMs'>
  /** `storage.gc.delay`, as it is now. */
  readonly graceMs: () => number
  readonly time: Pick<TimeKeeper, 'asOfNow' | 'write'>
}

/** From this time on. */
interface Held {
  readonly fromMs: number
  readonly graceMs: number
}

/** Among what jobs note. */
const NAME = 'graces'
/** Of one that is changed more often, the oldest are taken for the longest of them. */
const HELD_MAX = 16
/** An NTP client that slews puts a clock back by less, again and again. */
const PUT_BACK_MS = 60_000

/**
 * Which grace held when, so that nothing goes sooner than whoever deleted it could count on: a
 * shorter one is for what is deleted from then on. A longer one is for what is still here as well.
 */
export class Graces {
  readonly #deps: GracesDeps
  /** The oldest first; the last is the one of now. Undefined before the catalog was asked. */
  #held: readonly Held[] | undefined
  #written: string | undefined
  #passMs: number | undefined
  /** That anything may be dated. */
  #latestMs = Number.MIN_SAFE_INTEGER

  constructor(deps: GracesDeps) {
    this.#deps = deps
  }

  /** From now on it is known what holds now. @throws StoreError */
  async asOfNow(): Promise<Grace> {
    const timeRun = await this.#deps.time.asOfNow()
    const nowMs = this.#deps.clock.nowMs()
    return new Grace(await this.#heldUntil({ nowMs, timeRun }), { nowMs, timeRun })
  }

  /** The same, for a pass that takes all that is over. @throws StoreError */
  async forPass(): Promise<Grace> {
    // Else a process that ends before the next note has not run.
    await this.#deps.time.write().catch(() => {})
    const grace = await this.asOfNow()
    await this.#write()
    this.#passMs = grace.nowMs
    return grace
  }

  /**
   * What holds from a time to come on holds from now on, as what became loose then did now: to be
   * called with the catalog's `putBack`.
   */
  async putBack(nowMs: number): Promise<void> {
    this.#held = this.#held?.map(each => ({ ...each, fromMs: Math.min(each.fromMs, nowMs) }))
    await this.#write()
  }

  /**
   * In how long a pass takes something that the last one did not, or that one of now does not.
   * Undefined when nothing waits for the end of its grace.
   * @throws StoreError
   */
  async leftMs(): Promise<number | undefined> {
    const timeRun = await this.#deps.time.asOfNow()
    const nowMs = this.#deps.clock.nowMs()
    const held = await this.#heldUntil({ nowMs, timeRun })
    await this.#write()
    const passMs = this.#passUntil(nowMs)
    const asOfPass = new Grace(held, { nowMs: passMs, timeRun })
    const leftMs = await asOfPass.leftMs(fromMs => this.#firstFrom(fromMs))
    return leftMs === undefined ? undefined : Math.max(0, leftMs - timeRun.agoMs(passMs, nowMs))
  }

  /** When the first became loose, or began to follow, of what did then or later. */
  async #firstFrom(fromMs: number): Promise<number | undefined> {
    const { catalog } = this.#deps
    const looseAtMs = await catalog.firstLooseAt(fromMs)
    const followsAtMs = await catalog.firstFollowsAt(fromMs)
    if (looseAtMs === undefined || followsAtMs === undefined) return looseAtMs ?? followsAtMs
    return Math.min(looseAtMs, followsAtMs)
  }

  /** By a clock that was ahead it may have been in the future. */
  #passUntil(nowMs: number): number {
    return Math.min(this.#passMs ?? nowMs, nowMs)
  }

  async #heldUntil({ nowMs, timeRun }: GraceAt): Promise<readonly Held[]> {
    const before = this.#inOrder(this.#held ?? (await this.#read()), { nowMs, timeRun })
    const next = { fromMs: this.#latestMs, graceMs: this.#deps.graceMs() }
    this.#held = followedBy(before, next, { nowMs: this.#passUntil(nowMs), timeRun })
    return this.#held
  }

  /**
   * Of what is dated by a clock that was put back since nobody knows which grace held then: it has
   * the longest of them, until the clock has gone well for as long.
   */
  #inOrder(before: readonly Held[], { nowMs, timeRun }: GraceAt): readonly Held[] {
    this.#latestMs = Math.max(this.#latestMs, nowMs, before.at(-1)?.fromMs ?? nowMs)
    if (before.length === 0 || nowMs > this.#latestMs - PUT_BACK_MS) return before
    const graceMs = this.#deps.graceMs()
    const longestMs = Math.max(...before.map(each => each.graceMs))
    if (timeRun.isSteadyFor(Math.max(longestMs, graceMs))) this.#latestMs = nowMs
    // The next process has to know until when as well.
    return [
      { fromMs: 0, graceMs: longestMs },
      { fromMs: this.#latestMs, graceMs },
    ]
  }

  /** For the next process. What cannot be written down now is tried again. */
  async #write(): Promise<void> {
    const body = JSON.stringify(this.#held)
    if (body === this.#written) return
    const written = () => (this.#written = body)
    await this.#deps.catalog.noteJob({ name: NAME, body }).then(written, () => {})
  }

  async #read(): Promise<readonly Held[]> {
    const notes = await this.#deps.catalog.listJobNotes()
    this.#written = notes.find(({ name }) => name === NAME)?.body
    return heldFrom(this.#written)
  }
}

export interface GraceAt {
  readonly nowMs: number
  readonly timeRun: TimeRun
}

/**
 * At one moment, of whatever became loose before. It is of time in which this edge ran: a clock
 * that is put ahead ends none.
 */
export class Grace {
  readonly nowMs: number
  readonly timeRun: TimeRun
  readonly #held: readonly Held[]

  constructor(held: readonly Held[], { nowMs, timeRun }: GraceAt) {
    const graceMs = held.at(-1)?.graceMs ?? 0
    this.#held = held.map((each, at) => ({
      // What was before it is over, or was taken for the same.
      fromMs: at === 0 ? 0 : each.fromMs,
      graceMs: Math.max(each.graceMs, graceMs),
    }))
    this.nowMs = nowMs
    this.timeRun = timeRun
  }

  get longestMs(): number {
    return Math.max(...this.#held.map(({ graceMs }) => graceMs))
  }

  /**
   * Is a time to come one of a clock that was ahead? As much as one of a clock that is behind now,
   * by which nothing may be cut short, until it has gone well for a whole grace.
   */
  get mayPutBack(): boolean {
    return this.timeRun.isSteadyFor(this.longestMs)
  }

  /** What was at that time, or later, was no longer ago than this. */
  before(ranMs: number): number {
    return beforeThat(this, ranMs)
  }

  /** Leases that were to end before are over. */
  get leasesOverMs(): number {
    return this.before(this.longestMs) + this.longestMs
  }

  /** What became loose later stays. */
  get takenBeforeMs(): number {
    return Math.max(
      ...this.#held.map(({ graceMs }, at) => Math.min(this.before(graceMs), this.#endMs(at) + 1)),
    )
  }

  isOver(looseAtMs: number): boolean {
    // In the very millisecond of a change it may have been before or after.
    const held = this.#held.filter(
      ({ fromMs }, at) => fromMs <= looseAtMs && looseAtMs <= this.#endMs(at),
    )
    return held.every(({ graceMs }) => looseAtMs < this.before(graceMs))
  }

  /** `firstLooseAt`: of what became loose then or later. */
  async leftMs(
    firstLooseAt: (fromMs: number) => Promise<number | undefined>,
  ): Promise<number | undefined> {
    let leastMs: number | undefined
    for (const [at, { fromMs, graceMs }] of this.#held.entries()) {
      const looseAtMs = await firstLooseAt(Math.max(fromMs, this.before(graceMs)))
      if (looseAtMs === undefined || looseAtMs > this.#endMs(at)) continue
      const agoMs = this.timeRun.usedAgoMs(looseAtMs, this.nowMs)
      const leftMs = Math.max(0, looseAtMs - this.nowMs) + graceMs - agoMs + 1
      leastMs = Math.min(leastMs ?? Number.POSITIVE_INFINITY, leftMs)
    }
    return leastMs
  }

  #endMs(at: number): number {
    return this.#held[at + 1]?.fromMs ?? Number.POSITIVE_INFINITY
  }
}

/**
 * Until it has run for so long since that was first noted, nothing was longer ago: for how long it
 * ran before nobody knows.
 */
function beforeThat({ timeRun, nowMs }: GraceAt, ranMs: number): number {
  const atMs = timeRun.before(ranMs, nowMs)
  return atMs > timeRun.sinceMs ? atMs : Number.MIN_SAFE_INTEGER
}

/**
 * Without those by which nothing was held any more at the last pass, in time that ran until then: a
 * longer one may have held it since.
 */
function followedBy(
  before: readonly Held[],
  { fromMs, graceMs }: Held,
  pass: GraceAt,
): readonly Held[] {
  const longestMs = Math.max(graceMs, ...before.map(each => each.graceMs))
  const overMs = beforeThat(pass, longestMs)
  const held = before.filter((_, at) => {
    const next = before[at + 1]
    return next === undefined || next.fromMs >= overMs
  })
  const last = held.at(-1)
  // What became loose before anybody wrote this down.
  if (last === undefined) return [{ fromMs: 0, graceMs }]
  if (last.graceMs === graceMs) return held
  held.push({ fromMs: Math.max(fromMs, last.fromMs), graceMs })
  const [first, second, ...rest] = held
  if (held.length <= HELD_MAX || first === undefined || second === undefined) return held
  return [{ ...first, graceMs: Math.max(first.graceMs, second.graceMs) }, ...rest]
}

function heldFrom(body: string | undefined): readonly Held[] {
  try {
    const held: unknown = JSON.parse(body ?? '[]')
    return Array.isArray(held) && held.every(isHeld) ? held : []
  } catch {
    return []
  }
}

function isHeld(value: unknown): value is Held {
  if (typeof value !== 'object' || value === null) return false
  const { fromMs, graceMs } = value as Partial<Held>
  return Number.isFinite(fromMs) && Number.isFinite(graceMs)
}
