// A disk that removes nothing is not to lose its whole cache for that: what was let go in vain is
// tried again, and nothing more is let go until some of that has gone, or after a while.
import type { Leaving } from '../leave/leaving.ts'
import type { Left } from '../leave/pass.ts'
import type { Clock } from '../ports/clock.ts'

/**
 * One directory of a disk may be broken for good, and hold what was in vain: so long until it is
 * seen whether the rest goes. Each time costs two pages of images.
 */
const VAIN_FOR_MS = 600_000

export interface VainDeps {
  readonly leaving: Pick<Leaving, 'retry' | 'removed'>
  readonly clock: Pick<Clock, 'monotonicMs'>
}

export class Vain {
  readonly #deps: VainDeps
  #sinceMs = Number.NEGATIVE_INFINITY
  #removedByThen = 0

  constructor(deps: VainDeps) {
    this.#deps = deps
  }

  /** Before more is let go: what left by that, and whether it is of no use. */
  async retry(): Promise<Left & { readonly isOver: boolean }> {
    const { leaving, clock } = this.#deps
    const left = await leaving.retry()
    // Whoever had them removed: the disk does so again.
    const isVain = leaving.removed === this.#removedByThen
    return { ...left, isOver: isVain && clock.monotonicMs() - this.#sinceMs < VAIN_FOR_MS }
  }

  note(): void {
    this.#sinceMs = this.#deps.clock.monotonicMs()
    this.#removedByThen = this.#deps.leaving.removed
  }
}
