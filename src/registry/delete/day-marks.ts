// How old deletes are, whatever the clock says: once a day a number of the catalog's sequence is
// noted, and what has a lower one was there before. A clock that is wrong for a moment, by years in
// either direction, costs a day of them.
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'

export interface DayMarksDeps {
  readonly catalog: Pick<Catalog, 'listJobNotes' | 'noteJob' | 'sequence'>
  readonly clock: Pick<Clock, 'nowMs'>
}

const DAY_MS = 24 * 60 * 60 * 1000
/** Among what jobs note. */
const NAME = 'days'

interface Marks {
  /** When the last one was noted; of the wall clock, right or wrong. */
  readonly atMs: number
  /** Numbers of the sequence, the oldest first. */
  readonly numbers: readonly number[]
}

/**
 * To be called more often than once a day. What has a lower number than this is at least so many
 * days old; undefined while nothing is known to be. Days on which nobody called are not counted.
 * @throws StoreError
 */
export async function markDay(
  { catalog, clock }: DayMarksDeps,
  days: number,
): Promise<number | undefined> {
  const notes = await catalog.listJobNotes()
  const before = marksFrom(notes.find(({ name }) => name === NAME)?.body)
  const nowMs = clock.nowMs()
  const sinceMs = nowMs - before.atMs
  let { numbers } = before
  // Set back, it goes on from where it is now.
  if (sinceMs < 0 || sinceMs >= DAY_MS) {
    if (sinceMs > 0) numbers = [...numbers, catalog.sequence()].slice(-days - 1)
    await catalog.noteJob({ name: NAME, body: JSON.stringify({ atMs: nowMs, numbers }) })
  }
  return numbers.at(-days - 1)
}

function marksFrom(body: string | undefined): Marks {
  const none = { atMs: Number.NEGATIVE_INFINITY, numbers: [] }
  if (body === undefined) return none
  try {
    const { atMs, numbers } = JSON.parse(body) as Partial<Marks>
    const isRight = typeof atMs === 'number' && Array.isArray(numbers)
    return isRight && numbers.every(Number.isSafeInteger) ? { atMs, numbers } : none
  } catch {
    return none
  }
}
