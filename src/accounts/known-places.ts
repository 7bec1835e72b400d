// Where accounts have logged in lately, by which password. Each account has so many places of its
// own: who has one, and comes from everywhere, drives out no place of another.
import { boundedCache } from '../async/bounded-cache.ts'

/** Who logs in once a working day is known at the same place on the next. */
export const PLACE_KNOWN_MS = 24 * 3_600_000
/** The nodes of a cluster that have one account between them; then the oldest is forgotten. */
export const PLACES_MAX = 128
/** More people than are written into one file by hand; some tens of megabytes if all roam. */
const ACCOUNTS_MAX = 2_048

interface Place {
  readonly mark: string
  readonly untilMs: number
}

export class KnownPlaces {
  readonly #monotonicMs: () => number
  /** By account, then by source, the oldest first. */
  readonly #all = boundedCache<Map<string, Place>>(ACCOUNTS_MAX)

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs
  }

  /** `mark`: of the password that was right. */
  add(account: string, source: string, mark: string): void {
    const places = this.#all.get(account) ?? new Map<string, Place>()
    places.delete(source)
    const [oldest] = places.keys()
    if (oldest !== undefined && places.size >= PLACES_MAX) places.delete(oldest)
    places.set(source, { mark, untilMs: this.#monotonicMs() + PLACE_KNOWN_MS })
    this.#all.set(account, places)
  }

  /** Of the password by which the account last logged in from there; undefined: it did not. */
  markAt(account: string, source: string): string | undefined {
    const place = this.#all.get(account)?.get(source)
    return place !== undefined && place.untilMs > this.#monotonicMs() ? place.mark : undefined
  }
}
