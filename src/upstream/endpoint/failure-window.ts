// How often an endpoint failed lately: whether that is often enough for nobody to wait for it any
// more (R93).
import type { Clock } from '../../registry/ports/clock.ts'

/** Fewer may be chance; more keep clients waiting for nothing. */
const FAILURES_IN_A_ROW = 5
/**
 * For upstreams that fail often but not always: more than half of at least so many within the
 * window.
 */
const WINDOW_MS = 30_000
const WINDOW_MIN = 20
const WINDOW_FAILED_SHARE = 0.5
/** Bounds the window's memory under load; what is older says little. */
const WINDOW_MAX = 1_000

export class FailureWindow {
  readonly #clock: Clock
  #inARow = 0
  #recent: { readonly atMs: number; readonly failed: boolean }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(failed: boolean): void {
    const nowMs = this.#clock.monotonicMs()
    this.#inARow = failed ? this.#inARow + 1 : 0
    this.#recent = this.#recent.filter(({ atMs }) => nowMs - atMs < WINDOW_MS).slice(-WINDOW_MAX)
    this.#recent.push({ atMs: nowMs, failed })
  }

  get tooMany(): boolean {
    if (this.#inARow >= FAILURES_IN_A_ROW) return true
    const failed = this.#recent.filter(finding => finding.failed).length
    const { length } = this.#recent
    return length >= WINDOW_MIN && failed > length * WINDOW_FAILED_SHARE
  }

  clear(): void {
    this.#inARow = 0
    this.#recent = []
  }
}
