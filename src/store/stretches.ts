// What of a part lies ahead of its contiguous beginning: stretches that do not touch, by where they
// begin. Numbers only; the bytes are in the file.

export class Stretches {
  /** From the first byte of each to the byte behind its last. */
  readonly #ends = new Map<number, number>()
  #bytes = 0

  /** All of them together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Adds bytes that are in none of them yet; those that touch become one. */
  add(first: number, end: number): void {
    if (end <= first) return
    this.#bytes += end - first
    let begin = first
    for (const [otherFirst, otherEnd] of this.#ends) {
      if (otherEnd !== first) continue
      begin = otherFirst
      break
    }
    const after = this.#ends.get(end)
    if (after !== undefined) this.#ends.delete(end)
    this.#ends.set(begin, after ?? end)
  }

  /** Takes out the one that begins at `first`; tells where it ends. */
  take(first: number): number | undefined {
    const end = this.#ends.get(first)
    if (end === undefined) return undefined
    this.#ends.delete(first)
    this.#bytes -= end - first
    return end
  }

  clear(): void {
    this.#ends.clear()
    this.#bytes = 0
  }
}
