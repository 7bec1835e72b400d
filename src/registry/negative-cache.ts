// What an upstream said it does not have, remembered briefly (R94): long enough to spare it a herd, short enough that a
// signature pushed a minute after its image is seen (R81).
import { LRUCache } from 'lru-cache'
import type { Clock } from './ports/clock.ts'
import { UpstreamError } from './ports/upstream.ts'

/** At most this, by R81 and R94. */
const TTL_MS = 30_000
/** Enough for the misses of a busy half minute; an entry is a few hundred bytes. */
const MAX_ENTRIES = 10_000

export class NegativeCache {
  readonly #entries: LRUCache<string, UpstreamError>

  constructor(clock: Clock) {
    this.#entries = new LRUCache({
      max: MAX_ENTRIES,
      ttl: TTL_MS,
      // The cache takes a time of 0 for "without end".
      perf: { now: () => clock.monotonicMs() + 1 },
      ttlResolution: 0,
    })
  }

  /** @throws UpstreamError not-found, when the upstream said so less than half a minute ago. */
  check(key: string): void {
    const error = this.#entries.get(key)
    if (error !== undefined) throw error
  }

  /** Remembers `error` if it is a plain 404; no effect for every other failure (R94). */
  note(key: string, error: unknown): void {
    if (error instanceof UpstreamError && error.failure === 'not-found')
      this.#entries.set(key, error)
  }
}
