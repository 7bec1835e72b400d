// Numbers that all threads count together, so that a bound of the process stays one bound however
// many threads serve: each thread has a place of its own for each number, and what counts is the
// sum. What a dead thread had counted is taken back with its place.

/** Numbers of whole requests that are bounded far below two thousand millions. */
const COUNTED = ['requests', 'places', 'placesWaitedFor'] as const
type Counted = (typeof COUNTED)[number]

export interface SharedCount {
  /**
   * Adds to this thread's part, and returns the sum of all. Of two threads at once, at least one
   * sees both.
   */
  add(by: number): number
}

/** For so many threads, to be given to each of them. */
export function createCountsMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * COUNTED.length * Int32Array.BYTES_PER_ELEMENT)
}

/** The part of `thread`, which nobody else adds to. */
export function sharedCounts(
  memory: SharedArrayBuffer,
  thread: number,
): Readonly<Record<Counted, SharedCount>> {
  const places = new Int32Array(memory)
  const count = (first: number): SharedCount => ({
    add(by) {
      if (by !== 0) Atomics.add(places, thread * COUNTED.length + first, by)
      let sum = 0
      for (let at = first; at < places.length; at += COUNTED.length) sum += Atomics.load(places, at)
      return sum
    },
  })
  return {
    requests: count(0),
    places: count(1),
    placesWaitedFor: count(2),
  }
}

/** What `thread` had counted: it is no more. */
export function forgetCounts(memory: SharedArrayBuffer, thread: number): void {
  const places = new Int32Array(memory)
  for (let number = 0; number < COUNTED.length; number += 1) {
    Atomics.store(places, thread * COUNTED.length + number, 0)
  }
}
