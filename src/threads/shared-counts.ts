// Numbers that all threads count together, so that a bound of the process stays one bound however
// many threads serve: each thread has a place of its own for each number, and what counts is the
// sum. What a dead thread had counted is taken back with its place. Behind its numbers each has
// those that are kept by key.
import {
  fillSeeds,
  KEYED_NUMBERS,
  type KeyedCount,
  keyedCounts,
  SEED_NUMBERS,
} from './keyed-counts.ts'

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

/** Numbers of one thread. */
const STRIDE = COUNTED.length + KEYED_NUMBERS

/** For so many threads, to be given to each of them. */
export function createCountsMemory(threads: number): SharedArrayBuffer {
  const numbers = SEED_NUMBERS + threads * STRIDE
  const memory = new SharedArrayBuffer(numbers * Int32Array.BYTES_PER_ELEMENT)
  fillSeeds(memory)
  return memory
}

/** The part of `thread`, which nobody else adds to. */
export function sharedCounts(
  memory: SharedArrayBuffer,
  thread: number,
): Readonly<Record<Counted, SharedCount>> & { readonly clients: KeyedCount } {
  const numbers = new Int32Array(memory)
  const threads = (numbers.length - SEED_NUMBERS) / STRIDE
  const firsts = Array.from({ length: threads }, (_, each) => firstOf(each))
  const count = (number: number): SharedCount => ({
    add(by) {
      if (by !== 0) Atomics.add(numbers, firstOf(thread) + number, by)
      let sum = 0
      for (const first of firsts) sum += Atomics.load(numbers, first + number)
      return sum
    },
  })
  return {
    requests: count(0),
    places: count(1),
    placesWaitedFor: count(2),
    clients: keyedCounts(numbers, {
      own: firstOf(thread) + COUNTED.length,
      firsts: firsts.map(first => first + COUNTED.length),
    }),
  }
}

function firstOf(thread: number): number {
  return SEED_NUMBERS + thread * STRIDE
}

/** What `thread` had counted: it is no more. */
export function forgetCounts(memory: SharedArrayBuffer, thread: number): void {
  const numbers = new Int32Array(memory)
  const first = firstOf(thread)
  for (let number = first; number < first + STRIDE; number += 1) Atomics.store(numbers, number, 0)
}
