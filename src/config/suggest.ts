// The word that was probably meant.

/** Words this far apart are different words: a third of the longer one's letters, at least one. */
const LETTERS_PER_MISTAKE = 3
/** Nothing longer than this is compared; the time grows with the square of the length. */
const LONGEST_WORD = 200

/** The closest of `words`, or undefined when none is close. Case does not count as a mistake. */
export function closest<Word extends string>(
  word: string,
  words: Iterable<Word>,
): Word | undefined {
  let best: Word | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of words) {
    const longer = Math.max(word.length, candidate.length)
    const allowed = Math.max(1, Math.floor(longer / LETTERS_PER_MISTAKE))
    // Each letter more is a mistake.
    if (Math.abs(word.length - candidate.length) > Math.min(allowed, bestDistance - 1)) continue
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance <= allowed && distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/**
 * Letters to insert, delete, replace or swap with their neighbour to turn `a` into `b` (optimal
 * string alignment).
 */
export function editDistance(a: string, b: string): number {
  if (a.length > LONGEST_WORD || b.length > LONGEST_WORD) return Number.POSITIVE_INFINITY
  // What both begin with, as all names of variables do, makes no difference.
  let begin = 0
  while (begin < a.length && a[begin] === b[begin]) begin += 1
  return distanceOf(a.slice(begin), b.slice(begin))
}

function distanceOf(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        at(last, j) + 1,
        at(row, j - 1) + 1,
        at(last, j - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
