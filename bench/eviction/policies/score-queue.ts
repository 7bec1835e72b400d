// Images by a score of each, the lowest first: a binary heap that knows where each one stands.

export class ScoreQueue {
  readonly #images: number[] = []
  readonly #scores: number[] = []
  /** By image, where it stands. */
  readonly #places = new Map<number, number>()

  get size(): number {
    return this.#images.length
  }

  has(image: number): boolean {
    return this.#places.has(image)
  }

  /** Puts it in, or moves it. */
  set(image: number, score: number): void {
    const place = this.#places.get(image) ?? this.#images.length
    this.#put(place, image, score)
    this.#down(this.#up(place))
  }

  /** No effect if it is not in. */
  delete(image: number): void {
    const place = this.#places.get(image)
    if (place === undefined) return
    this.#places.delete(image)
    const last = this.#images.pop() as number
    const score = this.#scores.pop() as number
    if (last === image) return
    this.#put(place, last, score)
    this.#down(this.#up(place))
  }

  scoreOf(image: number): number | undefined {
    const place = this.#places.get(image)
    return place === undefined ? undefined : this.#scores[place]
  }

  /** The one with the lowest score of those that pass; looks at all that are lower. */
  first(passes: (image: number) => boolean): number | undefined {
    const aside: [number, number][] = []
    let found: number | undefined
    while (this.#images.length > 0 && found === undefined) {
      const [image, score] = [this.#images[0] as number, this.#scores[0] as number]
      if (passes(image)) found = image
      else {
        aside.push([image, score])
        this.delete(image)
      }
    }
    for (const [image, score] of aside) this.set(image, score)
    return found
  }

  #put(place: number, image: number, score: number): void {
    this.#images[place] = image
    this.#scores[place] = score
    this.#places.set(image, place)
  }

  #score(place: number): number {
    return this.#scores[place] ?? Number.POSITIVE_INFINITY
  }

  #swap(one: number, other: number): void {
    const [image, score] = [this.#images[one] as number, this.#score(one)]
    this.#put(one, this.#images[other] as number, this.#score(other))
    this.#put(other, image, score)
  }

  #up(place: number): number {
    let at = place
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#score(parent) <= this.#score(at)) break
      this.#swap(parent, at)
      at = parent
    }
    return at
  }

  #down(place: number): void {
    let at = place
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      const lower = this.#score(right) < this.#score(left) ? right : left
      if (this.#score(lower) >= this.#score(at)) return
      this.#swap(lower, at)
      at = lower
    }
  }
}
