// The first few of very many, in order, without sorting all at one go: short runs are sorted, then
// merged by twos, as far as anybody wants to know.
import type { Pieces } from '../pacing/pieces.ts'

/** Sorted at one go: a fraction of a millisecond. */
const RUN_LENGTH = 500

export interface Wanted<T> {
  readonly count: number
  readonly by: (a: T, b: T) => number
}

export async function firstOf<T>(
  list: readonly T[],
  wanted: Wanted<T>,
  pieces: Pieces,
): Promise<readonly T[]> {
  const { count, by } = wanted
  let runs: (readonly T[])[] = []
  for (let at = 0; at < list.length; at += RUN_LENGTH) {
    const run = list.slice(at, at + RUN_LENGTH).sort(by)
    runs.push(run.slice(0, count))
    await pieces.done(run.length)
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = []
    for (let at = 0; at < runs.length; at += 2)
      merged.push(await merge(runs[at] ?? [], runs[at + 1] ?? [], wanted, pieces))
    runs = merged
  }
  return runs[0] ?? []
}

async function merge<T>(
  a: readonly T[],
  b: readonly T[],
  { count, by }: Wanted<T>,
  pieces: Pieces,
): Promise<readonly T[]> {
  const merged: T[] = []
  let [atA, atB] = [0, 0]
  while (merged.length < count) {
    const [nextA, nextB] = [a[atA], b[atB]]
    if (nextA !== undefined && (nextB === undefined || by(nextA, nextB) <= 0)) {
      merged.push(nextA)
      atA += 1
    } else if (nextB === undefined) {
      break
    } else {
      merged.push(nextB)
      atB += 1
    }
    if (merged.length % RUN_LENGTH === 0) await pieces.done(RUN_LENGTH)
  }
  return merged
}
