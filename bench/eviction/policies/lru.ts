// By recency: the image whose last use is the longest ago leaves; or the one whose last use but one
// is (O'Neil et al., LRU-2), so that what was used once leaves before what was used twice.
import type { Policy, PolicyKind } from './policy.ts'
import { ScoreQueue } from './score-queue.ts'

const TIME_BYTES = 8

export const LRU: PolicyKind = { name: 'LRU', inRows: true, open: () => new Lru() }

class Lru implements Policy {
  /** Least recently used first. */
  readonly #images = new Set<number>()

  came(image: number): void {
    this.used(image)
  }

  used(image: number): void {
    this.#images.delete(image)
    this.#images.add(image)
  }

  left(image: number): void {
    this.#images.delete(image)
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    for (const image of this.#images) if (mayLeave(image)) return image
    return undefined
  }

  stateBytes(): number {
    return this.#images.size * TIME_BYTES
  }
}

/** Uses that are closer together are one: a node that starts again pulls a second time. */
const APART_MS = 3_600_000
/** For so long what has left is remembered. */
const REMEMBERED_MS = 30 * 24 * APART_MS
/** What was used once stands before everything that was used twice, by its only use. */
const ONCE_MS = -1e15

export const LRU_2: PolicyKind = { name: 'LRU-2', inRows: true, open: () => new Lru2() }

class Lru2 implements Policy {
  readonly #here = new ScoreQueue()
  /** Also of images that have left: they may come back. */
  readonly #uses = new Map<number, { lastMs: number; beforeMs: number | undefined }>()
  #forgottenAtMs = 0

  came(image: number, atMs: number): void {
    if (atMs - this.#forgottenAtMs > REMEMBERED_MS / 30) this.#forget(atMs)
    this.used(image, atMs)
  }

  used(image: number, atMs: number): void {
    const known = this.#uses.get(image)
    const beforeMs =
      known === undefined || atMs - known.lastMs < APART_MS ? known?.beforeMs : known.lastMs
    this.#uses.set(image, { lastMs: atMs, beforeMs })
    this.#here.set(image, beforeMs ?? ONCE_MS + atMs)
  }

  left(image: number): void {
    this.#here.delete(image)
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    return this.#here.first(mayLeave)
  }

  stateBytes(): number {
    return this.#uses.size * 2 * TIME_BYTES
  }

  #forget(atMs: number): void {
    this.#forgottenAtMs = atMs
    for (const [image, { lastMs }] of this.#uses)
      if (lastMs < atMs - REMEMBERED_MS && !this.#here.has(image)) this.#uses.delete(image)
  }
}
