// W-TinyLFU (Einziger, Friedman and Manes): what comes stands in a window, a small LRU. Who is
// pushed out of it must have been used more often than whoever it would displace from the main
// part, which has two LRUs: used once since it came there, and more. For unequal sizes it must have
// been used more often than all together that leave to make room for it (AV, Einziger et al. 2021).
// Counts are halved from time to time. They are exact here, where a sketch would guess them.
import type { Policy, PolicyKind, View } from './policy.ts'

export function wTinyLfu(name: string, windowShare: number): PolicyKind {
  return { name, inRows: false, open: view => new WTinyLfu(windowShare, view) }
}

const PROTECTED_SHARE = 0.8
/** Counts are halved after so many uses for each image that is here. */
const SAMPLE_TIMES = 10
const SAMPLE_MIN = 1000
/** Its place, its part, its bytes; and eight counters of four bits, as sketches have. */
const ENTRY_BYTES = 21
const COUNT_MAX = 15

/** An LRU that knows its bytes. */
class Part {
  readonly images = new Map<number, number>()
  bytes = 0

  add(image: number, bytes: number): void {
    this.images.set(image, bytes)
    this.bytes += bytes
  }

  /** Its bytes; undefined when it is not in here. */
  take(image: number): number | undefined {
    const bytes = this.images.get(image)
    if (bytes !== undefined) {
      this.images.delete(image)
      this.bytes -= bytes
    }
    return bytes
  }

  first(passes: (image: number) => boolean): number | undefined {
    for (const image of this.images.keys()) if (passes(image)) return image
    return undefined
  }
}

class WTinyLfu implements Policy {
  readonly #windowLimitBytes: number
  readonly #mainLimitBytes: number
  readonly #window = new Part()
  readonly #probation = new Part()
  readonly #protected = new Part()
  readonly #counts = new Map<number, number>()
  #counted = 0

  constructor(windowShare: number, { limitBytes }: View) {
    this.#windowLimitBytes = limitBytes * windowShare
    this.#mainLimitBytes = limitBytes - this.#windowLimitBytes
  }

  came(image: number, _atMs: number, bytes: number): void {
    this.#count(image)
    this.#window.add(image, bytes)
  }

  used(image: number): void {
    this.#count(image)
    const fresh = this.#window.take(image)
    if (fresh !== undefined) return this.#window.add(image, fresh)
    const bytes = this.#protected.take(image) ?? this.#probation.take(image)
    if (bytes === undefined) return
    this.#protected.add(image, bytes)
    for (const [oldest] of this.#protected.images) {
      if (this.#protected.bytes <= this.#mainLimitBytes * PROTECTED_SHARE) break
      this.#probation.add(oldest, this.#protected.take(oldest) ?? 0)
    }
  }

  left(image: number): void {
    for (const part of this.#parts()) part.take(image)
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    while (this.#window.bytes > this.#windowLimitBytes) {
      const candidate = this.#window.first(mayLeave)
      if (candidate === undefined) break
      const displaced = this.#displacedBy(candidate, mayLeave)
      const uses = displaced.reduce((sum, image) => sum + this.#usesOf(image), 0)
      if (displaced.length > 0 && this.#usesOf(candidate) <= uses) return candidate
      this.#probation.add(candidate, this.#window.take(candidate) ?? 0)
      if (displaced.length > 0) return displaced[0]
    }
    return (
      this.#probation.first(mayLeave) ??
      this.#protected.first(mayLeave) ??
      this.#window.first(mayLeave)
    )
  }

  stateBytes(): number {
    return this.#here() * ENTRY_BYTES
  }

  #parts(): readonly Part[] {
    return [this.#window, this.#probation, this.#protected]
  }

  #here(): number {
    return this.#parts().reduce((sum, { images }) => sum + images.size, 0)
  }

  /** Who would have to leave the main part for it; nobody while there is room. */
  #displacedBy(candidate: number, mayLeave: (image: number) => boolean): readonly number[] {
    const bytes = this.#window.images.get(candidate) ?? 0
    let missing = this.#probation.bytes + this.#protected.bytes + bytes - this.#mainLimitBytes
    const displaced: number[] = []
    for (const part of [this.#probation, this.#protected])
      for (const [image, itsBytes] of part.images) {
        if (missing <= 0) return displaced
        if (!mayLeave(image)) continue
        displaced.push(image)
        missing -= itsBytes
      }
    return displaced
  }

  #usesOf(image: number): number {
    return this.#counts.get(image) ?? 0
  }

  #count(image: number): void {
    this.#counts.set(image, Math.min(COUNT_MAX, this.#usesOf(image) + 1))
    this.#counted++
    if (this.#counted < Math.max(SAMPLE_MIN, SAMPLE_TIMES * this.#here())) return
    this.#counted /= 2
    for (const [each, uses] of this.#counts) {
      if (uses < 2) this.#counts.delete(each)
      else this.#counts.set(each, uses >> 1)
    }
  }
}
