// Any order with one rule before it: images whose tag has gone on leave first, the one that it left
// first before the others, unless they are used again. To tell what the rule gains from what the
// order does.
import type { Policy, PolicyKind } from './policy.ts'

/** What it remembers beside the order's own state is an image's place among those that go first. */
export function previousFirst(kind: PolicyKind): PolicyKind {
  return { ...kind, open: view => new PreviousFirst(kind.open(view)) }
}

class PreviousFirst implements Policy {
  readonly #order: Policy
  readonly #here = new Set<number>()
  readonly #previous = new Set<number>()

  constructor(order: Policy) {
    this.#order = order
  }

  came(image: number, atMs: number, broughtBytes: number): void {
    this.#here.add(image)
    this.#order.came(image, atMs, broughtBytes)
  }

  used(image: number, atMs: number): void {
    this.#previous.delete(image)
    this.#order.used(image, atMs)
  }

  cool(image: number): void {
    if (this.#here.has(image)) this.#previous.add(image)
  }

  left(image: number): void {
    this.#here.delete(image)
    this.#previous.delete(image)
    this.#order.left(image)
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    for (const image of this.#previous) if (mayLeave(image)) return image
    return this.#order.next(mayLeave)
  }

  stateBytes(): number {
    return this.#order.stateBytes()
  }
}
