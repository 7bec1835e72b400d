// How much there is of each of very many keys, counted by all threads together in memory of one
// size: each key has a number in each of several rows, which keys share by chance, and what is
// least of them is closest to the truth. Never too little; too much only where a key shares its
// number in every row, which of some hundred keys at once one in a thousand does.
import { randomFillSync } from 'node:crypto'

/** Half a MiB with four threads. */
const ROWS = 2
const SLOTS = 16_384

/** Numbers that keyed counts of one thread take. */
export const KEYED_NUMBERS = ROWS * SLOTS
/** Numbers that all threads share: with them nobody knows which keys share a number. */
export const SEED_NUMBERS = ROWS

export function fillSeeds(memory: SharedArrayBuffer): void {
  const seeds = new Int32Array(SEED_NUMBERS)
  randomFillSync(seeds)
  new Int32Array(memory).set(seeds)
}

export interface KeyedCount {
  /** Adds to this thread's part, and returns the sum of all. Who adds 0 looks. */
  add(key: string, by: number): number
}

/** `firsts`: where the numbers of each thread begin in `numbers`, and those of this one. */
export function keyedCounts(
  numbers: Int32Array,
  { own, firsts }: { readonly own: number; readonly firsts: readonly number[] },
): KeyedCount {
  return {
    add(key, by) {
      let least = Number.POSITIVE_INFINITY
      for (let row = 0; row < ROWS; row += 1) {
        const at = row * SLOTS + (hash(key, numbers[row] ?? 0) % SLOTS)
        if (by !== 0) Atomics.add(numbers, own + at, by)
        let sum = 0
        for (const first of firsts) sum += Atomics.load(numbers, first + at)
        least = Math.min(least, sum)
      }
      return least
    },
  }
}

/** MurmurHash3's mixing, a character at a time: spread well, and cheap. */
function hash(key: string, seed: number): number {
  let mixed = seed
  for (let at = 0; at < key.length; at += 1) {
    mixed = Math.imul(mixed ^ key.charCodeAt(at), 0xcc9e2d51)
    mixed = (mixed << 13) | (mixed >>> 19)
    mixed = Math.imul(mixed, 5) + 0x1b873593
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
