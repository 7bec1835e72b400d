// Which parts of a blob are still to be asked for. Every byte is given out once, and again only
// when whoever had it gives it back; so what is asked of the upstream adds up to the blob, without
// overlaps. Numbers only.
import type { ByteRange } from '../../oci/range.ts'

export class RangePlan {
  readonly #sizeBytes: number
  /** Everything from here on was never given out. */
  #frontier: number
  /** Given back, the lowest first. */
  #returned: ByteRange[] = []

  /** What lies before `first` is here. */
  constructor(first: number, sizeBytes: number) {
    this.#frontier = first
    this.#sizeBytes = sizeBytes
  }

  /** Not given out now. */
  get leftBytes(): number {
    const returned = this.#returned.reduce((sum, { first, last }) => sum + last + 1 - first, 0)
    return returned + this.#sizeBytes - this.#frontier
  }

  /** The lowest range that is left, at most `lengthBytes` long, if it begins before `limit`. */
  next(lengthBytes: number, limit: number): ByteRange | undefined {
    const [lowest] = this.#returned
    if (lowest !== undefined) {
      if (lowest.first >= limit) return undefined
      const last = Math.min(lowest.last, lowest.first + lengthBytes - 1)
      if (last === lowest.last) this.#returned.shift()
      else this.#returned[0] = { first: last + 1, last: lowest.last }
      return { first: lowest.first, last }
    }
    const first = this.#frontier
    if (first >= this.#sizeBytes || first >= limit) return undefined
    this.#frontier = Math.min(this.#sizeBytes, first + lengthBytes)
    return { first, last: this.#frontier - 1 }
  }

  /** What of a range did not come. */
  giveBack(range: ByteRange): void {
    if (range.last < range.first) return
    this.#returned.push(range)
    this.#returned.sort((a, b) => a.first - b.first)
  }
}
