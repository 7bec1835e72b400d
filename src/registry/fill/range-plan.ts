// Which parts of a blob are still to be asked for. Every byte is given out once, and again only
// when whoever had it gives it back; so what is asked of the upstream adds up to the blob, without
// overlaps. Numbers only.
import type { ByteRange } from '../../oci/range.ts'
import type { ConcurrencyController } from './concurrency-controller.ts'

const MIB = 1024 * 1024
/** The first range, before anything is known. */
const FIRST_BYTES = 4 * MIB
/**
 * A range takes about so long: short ones keep the gap small, long ones cost fewer requests. Alone
 * there is no gap.
 */
const RANGE_MS = 400
const RANGE_ALONE_MS = 1_000
const RANGE_MIN_BYTES = MIB
const RANGE_MAX_BYTES = 8 * MIB
/** At the end of the blob ranges are shorter, so that all requests end at about the same time. */
const LAST_MIN_BYTES = 512 * 1024

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

/** How long the next range of one among `fills` should be, over `left` bytes. */
export function rangeBytes(
  { connectionBytesPerMs, limit }: ConcurrencyController,
  leftBytes: number,
  fills = 1,
): number {
  // What a fill may count on when all want more than one.
  const connections = Math.max(1, Math.round(limit / fills))
  const forMs = connections === 1 ? RANGE_ALONE_MS : RANGE_MS
  const wanted = connectionBytesPerMs === undefined ? FIRST_BYTES : connectionBytesPerMs * forMs
  const bounded = Math.min(RANGE_MAX_BYTES, Math.max(RANGE_MIN_BYTES, Math.round(wanted)))
  if (connections === 1) return bounded
  if (fills === 1)
    return Math.min(bounded, Math.max(LAST_MIN_BYTES, Math.ceil(leftBytes / (2 * connections))))
  // Beside others nothing is lost when its requests end one after another, what becomes free is
  // theirs; and each question has its price.
  const part = Math.min(bounded, Math.max(RANGE_MIN_BYTES, Math.ceil(leftBytes / connections)))
  return leftBytes - part < LAST_MIN_BYTES ? leftBytes : part
}
