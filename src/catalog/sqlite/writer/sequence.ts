// Numbers that never come twice, whatever the clock does and however the process ends: a range is
// reserved durably before any of it is given out. What is left of it at an orderly stop is given
// back, so that the next start counts on; at any other it is never given.
import { StoreError } from '../../../registry/ports/store-error.ts'

/** One commit for so many numbers, and what a person sees numbers leap by after a crash. */
const RANGE = 2 ** 16
/**
 * When fewer are left, the next range is reserved: four times as many as can be asked for by all
 * requests that run at once.
 */
const LOW = RANGE / 2
const HIGHEST = Number.MAX_SAFE_INTEGER - RANGE

export class Sequence {
  readonly #reserve: (end: number) => Promise<void>
  /** From here to `#end`, exclusive, are reserved. */
  #next: number
  #end: number
  #extending = false
  #isOver = false
  #failure: unknown

  /**
   * `reserved`: the end of the last range, 0 when there was none. `reserve` writes the end of a new
   * one and resolves when it is durable; it MUST NOT take a greater one back.
   */
  constructor(reserved: number, reserve: (end: number) => Promise<void>) {
    this.#next = Math.max(1, reserved)
    this.#end = this.#next
    this.#reserve = reserve
  }

  /** @throws StoreError why nothing could be reserved; busy while it is tried again */
  next(): number {
    if (!this.#extending && !this.#isOver && this.#end - this.#next < LOW) void this.extend()
    if (this.#isOver)
      throw new StoreError('busy', 'the catalog gives no more numbers: it is being closed')
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

  /**
   * No number is given any more.
   * @returns the first one that never was, which may take the place of the reserved end
   */
  stop(): number {
    this.#isOver = true
    return this.#next
  }

  /**
   * Afterwards only numbers above `floor` are given, and at least `spare` are reserved.
   * @throws StoreError
   */
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
