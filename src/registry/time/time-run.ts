// How long ago something was, in time in which this edge ran: what it did not see says nothing of
// whether an image is still wanted, and a clock that was set has not lasted. Nothing goes for being
// old that was not old for so long here.
import { agoText, spanText } from './age-text.ts'

/** By the wall clock. */
export interface Gap {
  readonly fromMs: number
  readonly untilMs: number
}

/** What is less is not worth a word. */
const TOLD_FROM_MS = 60 * 60_000

export class TimeRun {
  /** Since when pulls are counted: what was pulled before nobody knows. */
  readonly sinceMs: number
  readonly #gaps: readonly Gap[]
  readonly #steadyMs: number

  /** `gaps` MUST NOT overlap, and are in their order. `steadyMs`: nobody set the clock in it. */
  constructor(sinceMs: number, gaps: readonly Gap[], steadyMs = 0) {
    this.sinceMs = sinceMs
    this.#gaps = gaps
    this.#steadyMs = steadyMs
  }

  /**
   * Has the wall clock gone along with the monotonic one for so long, over restarts? A machine
   * without a clock of its own begins in the past and is put right by the network minutes later;
   * one that was ahead is put back. What goes well for a while is nothing of either.
   */
  isSteadyFor(ms: number): boolean {
    return this.#steadyMs >= ms
  }

  /** Never below 0. */
  agoMs(atMs: number, nowMs: number): number {
    let agoMs = nowMs - atMs
    for (const { fromMs, untilMs } of this.#gaps)
      agoMs -= Math.max(0, Math.min(untilMs, nowMs) - Math.max(fromMs, atMs))
    return Math.max(0, agoMs)
  }

  /** What was at that time, or later, was no longer ago than this: in time that ran. */
  before(ranMs: number, nowMs: number): number {
    let [atMs, leftMs] = [nowMs, ranMs]
    for (const { fromMs, untilMs } of this.#gaps.toReversed()) {
      const sinceMs = Math.min(untilMs, atMs)
      if (leftMs < atMs - sinceMs) break
      leftMs -= atMs - sinceMs
      atMs = Math.min(fromMs, atMs)
    }
    return atMs - leftMs
  }

  /** Of what was used last then, as far as anybody knows: at the earliest when counting began. */
  usedAgoMs(atMs: number, nowMs: number): number {
    return this.agoMs(Math.max(atMs, this.sinceMs), nowMs)
  }

  /** `30 days ago`, or how much of that it ran as well. */
  agoText(atMs: number, nowMs: number): string {
    const ranMs = this.agoMs(atMs, nowMs)
    const text = agoText(atMs, nowMs)
    if (nowMs - atMs - ranMs < TOLD_FROM_MS) return text
    return `${text} (this edge ran for ${spanText(ranMs)} of that)`
  }
}
