// The clients of a simulated site: machines that keep the images they ran lately, and do not ask
// for a blob that one of them has.

/** How many images a machine keeps until it removes the one that it used longest ago. */
const IMAGES_KEPT = 30

export class Machine {
  /** Least recently used first. */
  readonly #images = new Map<number, readonly number[]>()
  /** How many of its images list a blob. */
  readonly #lists = new Map<number, number>()

  /** Has the image from then on; returns what it had to ask for. */
  pull(image: number, blobs: readonly number[]): readonly number[] {
    const asked = blobs.filter(blob => !this.#lists.has(blob))
    if (!this.#images.delete(image)) this.#count(blobs, 1)
    this.#images.set(image, blobs)
    const [oldest] = this.#images
    if (oldest !== undefined && this.#images.size > IMAGES_KEPT) {
      this.#images.delete(oldest[0])
      this.#count(oldest[1], -1)
    }
    return asked
  }

  /** It was replaced by a new one. */
  clear(): void {
    this.#images.clear()
    this.#lists.clear()
  }

  #count(blobs: readonly number[], by: number): void {
    for (const blob of blobs) {
      const lists = (this.#lists.get(blob) ?? 0) + by
      if (lists === 0) this.#lists.delete(blob)
      else this.#lists.set(blob, lists)
    }
  }
}
