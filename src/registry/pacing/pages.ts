// Everything that a list of the catalog has, page by page.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Some milliseconds of this thread, which does the reading, and clients wait for. */
export const PAGE_ROWS = 500

/** How the catalog lists: behind `after`, from the beginning without one. */
export type ListRows<Row, Place> = (page: {
  readonly after?: Place
  readonly limit: number
}) => Promise<readonly Row[]>

/**
 * Pages of so many rows as `limitNow` says before each, none of them empty; others have their turn
 * in between. `placeOf`: what the next page is behind. @throws what `list` throws
 */
export async function* pagesOf<Row, Place>(
  list: ListRows<Row, Place>,
  placeOf: (last: Row) => Place,
  limitNow: () => number = () => PAGE_ROWS,
): AsyncGenerator<readonly Row[]> {
  let limit = limitNow()
  let page = await list({ limit })
  for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
    yield page
    if (page.length < limit) return
    await nextTurn()
    limit = limitNow()
    page = await list({ after: placeOf(last), limit })
  }
}

/** The same row by row. */
export async function* rowsOf<Row, Place>(
  list: ListRows<Row, Place>,
  placeOf: (last: Row) => Place,
  limit: number = PAGE_ROWS,
): AsyncGenerator<Row> {
  for await (const page of pagesOf(list, placeOf, () => limit)) yield* page
}
