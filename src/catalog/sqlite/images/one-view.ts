// Many look-ups that belong together see the catalog as it is at one moment, and cost less: each by
// itself takes a lock on the file and gives it back.
import type { Database } from 'better-sqlite3'

/** Between the steps others have their turn, and write: each step has a view of its own. */
export function* inOneView<Result>(
  database: Database,
  steps: Iterator<void, Result>,
): Generator<void, Result> {
  const step = database.transaction(() => steps.next())
  for (;;) {
    const { done, value } = step()
    if (done === true) return value
    yield
  }
}
