// What this room remembers, all of it bounded: the least recently used goes first.
import { LRUCache } from 'lru-cache'

export type BoundedCache<T extends {}> = LRUCache<string, T>

/**
 * For at most so many. By size, one for each, since for a `max` the library reserves its room at
 * once: every endpoint has a dozen of these, and clients may name hundreds of upstreams.
 */
export function boundedCache<T extends {}>(maxEntries: number): BoundedCache<T> {
  return new LRUCache({ maxSize: maxEntries, sizeCalculation: () => 1 })
}
