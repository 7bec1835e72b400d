// Statements that are compiled once. SQLite compiles one anew when a value is bound that could make
// for another plan, as in `x = ?` beside an index, or `LIMIT ?`; and the library forgets after each
// use what was bound. So each such statement, which is most of them, would be compiled whenever it
// is run, and that takes longer than to run it. It looks at no value behind a plus. And each is
// compiled when it is first run: there are some hundreds, those that write with triggers behind
// them, and a start needs a few.
import type { Database, Statement } from 'better-sqlite3'

/** No text within a statement here has a question mark or an at sign. */
const PARAMETER = /\?|@\w+/g

/**
 * For all that is prepared from now on: no plan depends on a value, and what is wrong with a
 * statement is told to whoever runs it first. Returns `database`.
 */
export function keepPlans(database: Database): Database {
  const prepare = database.prepare.bind(database)
  return Object.assign(database, {
    prepare: (sql: string) => new LateStatement(() => prepare(sql.replaceAll(PARAMETER, '+$&'))),
  })
}

/** As the library's, as far as this room uses that. */
class LateStatement {
  readonly #compile: () => Statement
  #compiled: Statement | undefined

  constructor(compile: () => Statement) {
    this.#compile = compile
  }

  get(...values: unknown[]): unknown {
    return this.#statement.get(...values)
  }

  all(...values: unknown[]): unknown[] {
    return this.#statement.all(...values)
  }

  run(...values: unknown[]) {
    return this.#statement.run(...values)
  }

  iterate(...values: unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(...values)
  }

  /** Gives the first column alone. */
  pluck(): LateStatement {
    return new LateStatement(() => this.#compile().pluck())
  }

  get #statement(): Statement {
    this.#compiled ??= this.#compile()
    return this.#compiled
  }
}
