// Goal: no read or write of the catalog looks at a whole table that grows with what is here, or was
// (R379). Method: SQLite's own plan of each statement that is prepared; of those that go through
// few rows in the order of a key, through which table they go.
import { join } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import t from 'tap'
import { keepPlans } from '../../../src/catalog/sqlite/file/kept-plans.ts'
import { MIGRATIONS } from '../../../src/catalog/sqlite/schema/schema.ts'
import { statementsOf } from '../../kit/judges/catalog-statements.ts'

/** Of these there may be 10^6 rows; of what leaves, 10^5. */
const LARGE = ['content', 'edge', 'repository_content', 'tag', 'taken', 'promised', 'leaving']

/** Once, before anybody asks, where something that was pushed is lost. */
const WHOLE = /^UPDATE content SET unclear = 1 /

/** In the order of loops, the outer one first. */
function planOf(database: Database, sql: string): readonly string[] {
  const explain = database.prepare(`EXPLAIN QUERY PLAN ${sql}`)
  const named = [...sql.matchAll(/@(\w+)/g)].map(([, name]) => [name, null] as const)
  const values = [...sql.matchAll(/\?/g)].map(() => null)
  const rows = explain.all(...values, ...(named.length > 0 ? [Object.fromEntries(named)] : []))
  return (rows as { detail: string }[]).map(({ detail }) => detail)
}

/** What the plan calls a large table: by itself, or as the statement names it. */
function namesOf(sql: string): ReadonlySet<string> {
  const large = LARGE.join('|')
  const aliases = [...sql.matchAll(new RegExp(`\\b(?:${large})(?: AS)? ([a-z]+)\\b`, 'g'))]
  return new Set([...LARGE, ...aliases.map(([, alias = '']) => alias)])
}

t.test('R379: what is read and written of the catalog is found by its keys', async t => {
  const database = keepPlans(new Sqlite(join(t.testdir({}), 'catalog.db')))
  t.teardown(() => database.close())
  for (const { sql } of MIGRATIONS) database.exec(sql)
  const statements = statementsOf(database)
  t.ok(statements.length > 100)
  for (const sql of statements) {
    if (WHOLE.test(sql)) continue
    const names = namesOf(sql)
    const scanned = planOf(database, sql).filter(step => {
      const [, name = ''] = /^SCAN (\w+)/.exec(step) ?? []
      return names.has(name)
    })
    t.strictSame(scanned, [], sql)
  }
  // Content whose digest comes next is rarely on its way out.
  const lists = statements.filter(sql => /FROM leaving l .* LIMIT/s.test(sql))
  t.equal(lists.length, 2)
  for (const sql of lists) {
    const loops = planOf(database, sql).filter(step => /^SEARCH [lcm] /.test(step))
    t.match(loops[0], /^SEARCH l USING/, sql)
  }
  // What is listed by very many is needed by few of them.
  const needed = statements.filter(sql => /e\.child = .* e\.needs = 1/s.test(sql))
  t.equal(needed.length, 4)
  for (const sql of needed)
    t.ok(
      planOf(database, sql).some(step => /^SEARCH e USING .*INDEX edge_needing/.test(step)),
      sql,
    )
})
