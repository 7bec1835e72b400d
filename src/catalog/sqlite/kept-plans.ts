// Statements that are compiled once. SQLite compiles one anew when a value is bound that could make
// for another plan, as in `x = ?` beside an index, or `LIMIT ?`; and the library forgets after each
// use what was bound. So each such statement, which is most of them, would be compiled whenever it
// is run, and that takes longer than to run it. It looks at no value behind a plus.
import type { Database } from 'better-sqlite3'

/** No text within a statement here has a question mark or an at sign. */
const PARAMETER = /\?|@\w+/g

/** For all that is prepared from now on: no plan depends on a value. Returns `database`. */
export function keepPlans(database: Database): Database {
  const prepare = database.prepare.bind(database)
  return Object.assign(database, {
    prepare: (sql: string) => prepare(sql.replaceAll(PARAMETER, '+$&')),
  })
}
