// GreedyDual-Size with frequency (Cao and Irani; Cherkasova): an image is worth its uses times what
// it costs to fetch again, for each byte that it takes; and whoever leaves lifts the floor that
// those start from who are used later. Sizes are those that would really be freed, which change
// when images with the same blobs come and leave.
import type { Policy, PolicyKind, View } from './policy.ts'
import { ScoreQueue } from './score-queue.ts'

/**
 * What a miss costs: the same whatever the size, which keeps many small images; or the time that
 * it takes, which has both the size and the distance in it.
 */
export type Cost = 'one' | 'seconds'

export function gdsf(name: string, cost: Cost): PolicyKind {
  return { name, inRows: true, open: view => new Gdsf(cost, view) }
}

/** The floor at the last use, and the uses. */
const STATE_BYTES = 12
const LOOKS_MAX = 8

interface Worth {
  floor: number
  uses: number
}

class Gdsf implements Policy {
  readonly #cost: Cost
  readonly #view: View
  readonly #here = new ScoreQueue()
  readonly #worths = new Map<number, Worth>()
  #floor = 0

  constructor(cost: Cost, view: View) {
    this.#cost = cost
    this.#view = view
  }

  came(image: number): void {
    this.used(image)
  }

  used(image: number): void {
    const uses = (this.#worths.get(image)?.uses ?? 0) + 1
    this.#worths.set(image, { floor: this.#floor, uses })
    this.#here.set(image, this.#score(image))
  }

  left(image: number): void {
    this.#floor = Math.max(this.#floor, this.#here.scoreOf(image) ?? 0)
    this.#here.delete(image)
    this.#worths.delete(image)
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    for (let looks = 0; ; looks++) {
      const lowest = this.#here.first(mayLeave)
      if (lowest === undefined || looks === LOOKS_MAX) return lowest
      const score = this.#score(lowest)
      if (score <= (this.#here.scoreOf(lowest) ?? score)) return lowest
      this.#here.set(lowest, score)
    }
  }

  stateBytes(): number {
    return this.#worths.size * STATE_BYTES
  }

  #score(image: number): number {
    const { floor, uses } = this.#worths.get(image) as Worth
    const freed = Math.max(1, this.#view.freedBytes(image))
    const cost = this.#cost === 'one' ? 1 : this.#view.refetchSeconds(image)
    return floor + (uses * cost) / freed
  }
}
