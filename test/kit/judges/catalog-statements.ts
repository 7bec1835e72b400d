// Every statement that the SQLite catalog prepares on a file of the newest version: to ask for its
// plan, or to run it by itself.
import type { Database } from 'better-sqlite3'
import { prepareOperations } from '../../../src/catalog/sqlite/operations.ts'
import { prepareReads } from '../../../src/catalog/sqlite/reads.ts'

export function statementsOf(database: Database): readonly string[] {
  const statements: string[] = []
  const listening = new Proxy(database, {
    get(target, name) {
      const own: unknown = Reflect.get(target, name)
      if (typeof own !== 'function') return own
      return (...args: unknown[]): unknown => {
        if (name === 'prepare') statements.push(String(args[0]))
        return own.apply(target, args)
      }
    },
  })
  prepareReads(listening, () => 0)
  prepareOperations(listening)
  return statements
}
