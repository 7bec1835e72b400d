// Places for bodies of blobs, as one thread takes them by itself. All threads count them together:
// who finds one free takes it, and asks nobody. Who finds none goes to the waiting room
// (waiting-room.ts), which is in one thread.
import { type Count, createCount } from '../limits.ts'

export interface Place {
  /** Gives it to the next one. No effect the second time. */
  release(): void
}

export interface FreePlacesOptions {
  /** Places of the process, at least 1. */
  readonly limit: number
  /** Places that are taken, and whether anybody waits for one. Default: this thread is alone. */
  readonly counts?: { readonly places: Count; readonly placesWaitedFor: Count } | undefined
  /**
   * A place was given back. Called after it was counted: who began to wait before has seen it, or
   * is seen by a look at `isWaitedFor` now.
   */
  readonly released: () => void
}

export class FreePlaces {
  readonly #limit: number
  readonly #taken: Count
  readonly #waitedFor: Count
  readonly #released: () => void
  readonly #held = new Map<string, number>()

  constructor({ limit, counts, released }: FreePlacesOptions) {
    this.#limit = limit
    this.#taken = counts?.places ?? createCount()
    this.#waitedFor = counts?.placesWaitedFor ?? createCount()
    this.#released = released
  }

  /** Places that are taken, on all threads. */
  get taken(): number {
    return this.#taken.add(0)
  }

  /** Somebody waits for a place: who comes now goes behind. */
  get isWaitedFor(): boolean {
    return this.#waitedFor.add(0) > 0
  }

  /** What this thread has taken, by client. */
  get held(): ReadonlyMap<string, number> {
    return this.#held
  }

  /** A place, if there is one to be had without waiting. MUST be released once the body is over. */
  takeNow(client: string): Place | undefined {
    return this.isWaitedFor || !this.reserve() ? undefined : this.hold(client)
  }

  /**
   * For the waiting room, which asks for those that wait. False where none is free: it may say so
   * for a moment too many while another thread is told the same.
   */
  reserve(): boolean {
    if (this.#taken.add(1) <= this.#limit) return true
    this.#taken.add(-1)
    return false
  }

  /** The place that was reserved is the client's. */
  hold(client: string): Place {
    this.#held.set(client, (this.#held.get(client) ?? 0) + 1)
    let isReleased = false
    return {
      release: () => {
        if (isReleased) return
        isReleased = true
        const others = (this.#held.get(client) ?? 0) - 1
        if (others > 0) this.#held.set(client, others)
        else this.#held.delete(client)
        this.#taken.add(-1)
        this.#released()
      },
    }
  }

  /** For the waiting room. MUST be said before it looks for a place the last time. */
  setWaitedFor(isWaitedFor: boolean): void {
    this.#waitedFor.add(isWaitedFor ? 1 : -1)
  }
}
