// What is remembered for as long as there is room: the least recently used goes first.
import { LRUCache } from 'lru-cache'

export type BoundedCache<Value extends {}, Key extends string = string> = LRUCache<Key, Value>

/** How long an entry is remembered at most; `nowMs` is monotonic. */
export interface Ageing {
  readonly ttlMs: number
  readonly nowMs: () => number
}

/**
 * For at most so many, by default of any age. By size, one for each, since for a `max` the library
 * reserves its room at once: a start would take 15 ms longer for a dozen of them, and clients may
 * name hundreds of upstreams, each of which has a dozen of its own.
 */
export function boundedCache<Value extends {}, Key extends string = string>(
  maxEntries: number,
  ageing?: Ageing,
): BoundedCache<Value, Key> {
  return new LRUCache({
    maxSize: maxEntries,
    sizeCalculation: () => 1,
    ...(ageing && {
      ttl: ageing.ttlMs,
      ttlResolution: 0,
      // The library takes a time of 0 for "without end".
      perf: { now: () => ageing.nowMs() + 1 },
    }),
  })
}
