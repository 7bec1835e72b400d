// Chance as the simulated registries and sites draw it, from one seed: sizes with a long tail, and
// popularity by rank.
import { createRandom, type Random } from '../../test/kit/seeded.ts'

export class Chance {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = createRandom(seed)
  }

  /** From 0 up to, not including, 1. */
  share(): number {
    return this.#random.below(2 ** 32) / 2 ** 32
  }

  below(limit: number): number {
    return this.#random.below(limit)
  }

  isTrue(share: number): boolean {
    return this.share() < share
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return this.#random.pick(values)
  }

  /**
   * Log-normal, in whole bytes: half are below the median, and two thirds within a factor of
   * e^spread of it.
   */
  size({ median, spread, most }: SizeOptions): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.share()))
    const normal = radius * Math.cos(2 * Math.PI * this.share())
    return Math.round(Math.min(most, Math.max(1, median * Math.exp(spread * normal))))
  }

  /** How many failures come before the first success. */
  failures(success: number): number {
    let count = 0
    while (!this.isTrue(success)) count++
    return count
  }
}

export interface SizeOptions {
  readonly median: number
  readonly spread: number
  readonly most: number
}

/** Ranks from 0, of which the k-th is asked for 1/(k+1)^skew as often as the first. */
export class Zipf {
  readonly #sums: Float64Array

  constructor(ranks: number, skew: number) {
    this.#sums = new Float64Array(ranks)
    let sum = 0
    for (let rank = 0; rank < ranks; rank++) {
      sum += 1 / (rank + 1) ** skew
      this.#sums[rank] = sum
    }
  }

  pick(chance: Chance): number {
    const wanted = chance.share() * (this.#sums.at(-1) ?? 0)
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#sums[middle] ?? 0) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}
