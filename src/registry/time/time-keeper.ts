// Keeps in which time this edge ran, over restarts: for retention, which must take nothing for
// having been away, for a clock that was ahead, or for a catalog that has just begun to count.
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { type Gap, TimeRun } from './time-run.ts'

export interface TimeKeeperDeps {
  readonly catalog: Pick<Catalog, 'listJobNotes' | 'noteJob'>
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
}

/** Among what jobs note. */
const NAME = 'time run'
/** Between two looks an NTP client slews less, and nobody's policy is about it. */
const GAP_MIN_MS = 60_000
/** A note has some kilobytes at most. With more the oldest become one. */
const GAPS_MAX = 64

interface Kept {
  readonly sinceMs: number
  /** In their order, and apart. */
  readonly gaps: readonly Gap[]
  /** For so long nobody has set the wall clock, by all that was looked at. */
  readonly steadyMs: number
}

interface Noted extends Kept {
  /** When it was noted. */
  readonly seenMs: number
}

interface Look {
  readonly nowMs: number
  readonly monotonicMs: number
}

export class TimeKeeper {
  readonly #deps: TimeKeeperDeps
  #seen: Look
  #kept: Kept | undefined
  /** Since the last note, and so far that it matters. */
  #isPutBack = false

  /** To be made at the start: from then on time has run. */
  constructor(deps: TimeKeeperDeps) {
    this.#deps = deps
    this.#seen = this.#look()
  }

  /** @throws StoreError */
  async asOfNow(): Promise<TimeRun> {
    const { sinceMs, gaps, steadyMs } = await this.#keptUntilNow()
    // What is dated from now on is older than the last note: should this process end before the
    // next one, all of that would count as time that ran.
    if (this.#isPutBack) await this.write().catch(() => {})
    return new TimeRun(sinceMs, gaps, steadyMs)
  }

  /**
   * For the next process, which takes what came after it for time that nobody saw. To be called
   * about once an hour.
   * @throws StoreError
   */
  async write(): Promise<void> {
    const kept = await this.#keptUntilNow()
    const noted: Noted = { ...kept, seenMs: this.#seen.nowMs }
    await this.#deps.catalog.noteJob({ name: NAME, body: JSON.stringify(noted) })
    this.#isPutBack = false
  }

  /** As `write`; a next process that finds no note makes do with the last. */
  async stop(): Promise<void> {
    await this.write().catch(() => {})
  }

  #look(): Look {
    const { clock } = this.#deps
    return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
  }

  async #keptUntilNow(): Promise<Kept> {
    const begun = this.#kept ?? (await this.#read())
    // Another may have asked meanwhile.
    const kept = this.#kept ?? begun
    const look = this.#look()
    const { nowMs } = look
    const ranMs = look.monotonicMs - this.#seen.monotonicMs
    // By so much the clock was put ahead since, or the machine was asleep: nobody knows when.
    const jumpMs = nowMs - this.#seen.nowMs - ranMs
    this.#isPutBack ||= jumpMs <= -GAP_MIN_MS
    this.#seen = look
    const gaps = withGap(kept.gaps, { fromMs: nowMs - jumpMs, untilMs: nowMs })
    const steadyMs = Math.abs(jumpMs) < GAP_MIN_MS ? kept.steadyMs + ranMs : 0
    this.#kept = asOf({ ...kept, gaps, steadyMs }, nowMs)
    return this.#kept
  }

  /** As the process before left it, up to the start of this one. */
  async #read(): Promise<Kept> {
    const noted = await notedIn(this.#deps.catalog)
    const startMs = this.#seen.nowMs
    if (noted === undefined) return { sinceMs: startMs, gaps: [], steadyMs: 0 }
    const { sinceMs, gaps, seenMs, steadyMs } = noted
    // A clock that is behind what the last process saw is another one than that.
    return {
      sinceMs,
      gaps: withGap(gaps, { fromMs: seenMs, untilMs: startMs }),
      steadyMs: startMs < seenMs ? 0 : steadyMs,
    }
  }
}

/** By the wall clock, of the process before. @throws StoreError */
export async function lastSeenMs(
  catalog: Pick<Catalog, 'listJobNotes'>,
): Promise<number | undefined> {
  return (await notedIn(catalog))?.seenMs
}

async function notedIn(catalog: Pick<Catalog, 'listJobNotes'>): Promise<Noted | undefined> {
  const notes = await catalog.listJobNotes()
  return notedFrom(notes.find(({ name }) => name === NAME)?.body)
}

function withGap(gaps: readonly Gap[], gap: Gap): readonly Gap[] {
  if (gap.untilMs - gap.fromMs < GAP_MIN_MS) return gaps
  const all = [...gaps, gap]
  const [first, second, ...rest] = all
  if (all.length <= GAPS_MAX || first === undefined || second === undefined) return all
  // As long as both, before the end of the later one: what lies between only seems younger.
  const fromMs = second.fromMs - (first.untilMs - first.fromMs)
  return [{ fromMs, untilMs: second.untilMs }, ...rest]
}

/** What is to come was told by a clock that was ahead. */
function asOf({ sinceMs, gaps, steadyMs }: Kept, nowMs: number): Kept {
  return {
    steadyMs,
    sinceMs: Math.min(sinceMs, nowMs),
    gaps: gaps
      .filter(({ fromMs }) => fromMs < nowMs)
      .map(({ fromMs, untilMs }) => ({ fromMs, untilMs: Math.min(untilMs, nowMs) })),
  }
}

/** What cannot be read is as if nobody had noted it: counting begins. */
function notedFrom(body: string | undefined): Noted | undefined {
  try {
    const noted: unknown = JSON.parse(body ?? 'null')
    return isNoted(noted) ? { ...noted, steadyMs: noted.steadyMs ?? 0 } : undefined
  } catch {
    return undefined
  }
}

/** Programs of before did not note how steady the clock was. */
type Written = Omit<Noted, 'steadyMs'> & Partial<Pick<Noted, 'steadyMs'>>

function isNoted(value: unknown): value is Written {
  if (typeof value !== 'object' || value === null) return false
  const { sinceMs, seenMs, gaps, steadyMs = 0 } = value as Partial<Noted>
  const isTime = (at: unknown) => Number.isFinite(at)
  return [sinceMs, seenMs, steadyMs].every(isTime) && Array.isArray(gaps) && gaps.every(isGap)
}

function isGap(value: unknown): value is Gap {
  if (typeof value !== 'object' || value === null) return false
  const { fromMs, untilMs } = value as Partial<Gap>
  return Number.isFinite(fromMs) && Number.isFinite(untilMs)
}
