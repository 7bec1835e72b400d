// Numbers that never come twice, whatever the clock does and however the process ends: a range is reserved durably before any of it
// is given out, and what is left of it at a stop is never given.
import { StoreError } from '../../registry/ports/blob-store.ts'

/** One commit for 16 million numbers. At that, 500 million starts are left to a catalog. */
const RANGE = 2 ** 24
/** When fewer are left, the next range is reserved; the commit takes far less time than giving these out. */
const LOW = RANGE / 2
const HIGHEST = Number.MAX_SAFE_INTEGER - RANGE

export class Sequence {
  readonly #reserve: (end: number) => Promise<void>
  /** From here to `#end`, exclusive, are reserved. */
  #next: number
  #end: number
  #extending = false
  #failure: unknown

  /**
   * `reserved`: the end of the last range, 0 when there was none. `reserve` writes the end of a new one and resolves when it is
   * durable; it MUST NOT take a greater one back.
   */
  constructor(reserved: number, reserve: (end: number) => Promise<void>) {
    this.#next = Math.max(1, reserved)
    this.#end = this.#next
    this.#reserve = reserve
  }

  /** @throws StoreError why nothing could be reserved; busy while it is tried again */
  next(): number {
    if (!this.#extending && this.#end - this.#next < LOW) void this.extend()
    if (this.#next < this.#end) return this.#next++
    if (this.#failure !== undefined) throw this.#failure
    throw new StoreError('busy', 'the catalog has yet to reserve numbers')
  }

  /** Reserves the next range. It does not reject: `next` tells why there is none. */
  async extend(): Promise<void> {
    if (this.#extending) return
    this.#extending = true
    try {
      await this.raise(this.#next - 1, LOW)
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
    } finally {
      this.#extending = false
    }
  }

  /** Afterwards only numbers above `floor` are given, and at least `spare` are reserved. @throws StoreError */
  async raise(floor: number, spare = 1): Promise<void> {
    if (!Number.isSafeInteger(floor) || floor > HIGHEST)
      throw new StoreError('io', `no numbers are left above ${floor}`)
    if (floor + spare >= this.#end) {
      const end = Math.max(this.#end, floor + 1) + RANGE
      await this.#reserve(end)
      this.#end = Math.max(this.#end, end)
    }
    this.#next = Math.max(this.#next, floor + 1)
  }
}
