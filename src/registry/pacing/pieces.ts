// Work that looks at very much without waiting for anything, in pieces: after each of them others
// have their turn. How much that is, an author of manifests may decide: one lists 10,000 others.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Look-ups in the catalog, or rows of a list: some milliseconds of this thread. */
const PIECE_STEPS = 500

export class Pieces {
  #steps = 0

  /** So many more were done; resolves at once, but for the last of a piece. */
  async done(steps: number): Promise<void> {
    this.#steps += steps
    if (this.#steps < PIECE_STEPS) return
    this.#steps = 0
    await nextTurn()
  }

  /** Of a list that is at hand, one step each. */
  async each<T>(list: Iterable<T>, one: (item: T) => void): Promise<void> {
    for (const item of list) {
      one(item)
      // Not awaited for each: that would cost more than many a step.
      if (this.#steps + 1 < PIECE_STEPS) this.#steps += 1
      else await this.done(1)
    }
  }
}
