// Whether the wall clock is to be believed. A machine without a clock of its own begins in the past
// and is put right by the network minutes later; one that was ahead is put back. What goes along
// with the monotonic clock for a while is nothing of either.
import type { Clock } from '../ports/clock.ts'

/** Between two questions; what an NTP client slews in a day is less. */
const DRIFT_MS = 60_000

export class SteadyClock {
  readonly #clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  #aheadMs: number
  #sinceMs: number

  constructor(clock: Pick<Clock, 'nowMs' | 'monotonicMs'>) {
    this.#clock = clock
    this.#aheadMs = clock.nowMs() - clock.monotonicMs()
    this.#sinceMs = clock.monotonicMs()
  }

  /** Has nobody set it for so long, as far as questions and the beginning tell? */
  isSteadyFor(ms: number): boolean {
    const monotonicMs = this.#clock.monotonicMs()
    const aheadMs = this.#clock.nowMs() - monotonicMs
    if (Math.abs(aheadMs - this.#aheadMs) > DRIFT_MS) this.#sinceMs = monotonicMs
    this.#aheadMs = aheadMs
    return monotonicMs - this.#sinceMs >= ms
  }
}
