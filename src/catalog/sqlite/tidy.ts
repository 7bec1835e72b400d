// Rows that nobody needs any more: of what is not here and that no one has asked for in a long
// time, of repositories without anything, lists of upstreams that are old. A few rows at a time, in
// the order of the numbers of content; how far that has come stands in the file. What is freed by
// it goes back to the file system, page by page.
import type { Database } from 'better-sqlite3'
import type { Tidy } from '../../registry/ports/catalog-space.ts'
import { UNNAMED } from './leaving.ts'
import { LISTERS_THERE, UNPROMISED_THERE } from './needed.ts'

/** Pages in one step: a few milliseconds, since each may have to be moved. */
const PAGES_AT_ONCE = 256
/** Of the file's pages one in so many may be free: they are soon needed again. */
const FREE_SHARE = 10
/** Repositories and lists in one step. */
const NAMES_AT_ONCE = 1000

export function tidyReads(database: Database) {
  const find = database.prepare('SELECT value FROM meta WHERE key = ?').pluck()
  const numberOf = (key: string) => (find.get(key) as number | undefined) ?? 0

  return { tidied: () => ({ upTo: numberOf('tidied'), forgotten: numberOf('forgotten') }) }
}

export function tidyWrites(database: Database) {
  const sql = prepareTidy(database)
  const { tidied } = tidyReads(database)

  return {
    tidy({ beforeMs, rows }: Tidy): void {
      const { upTo: from, forgotten } = tidied()
      const to = sql.end.get(from, rows) as number | null
      const runs =
        to === null
          ? [sql.dropLists.run(beforeMs), sql.dropRepositories.run()]
          : sql.ofContent.map(each => each.run({ from, to, beforeMs }))
      const changes = runs.reduce((sum, run) => sum + run.changes, 0)
      sql.note.run('tidied', to ?? 0)
      if (changes > 0) sql.note.run('forgotten', forgotten + changes)
      giveBack()
    },
  }

  /** Nothing in a file that was begun before pages could be given back. */
  function giveBack(): void {
    const free = database.pragma('freelist_count', { simple: true }) as number
    const pages = database.pragma('page_count', { simple: true }) as number
    if (free > pages / FREE_SHARE) database.pragma(`incremental_vacuum(${PAGES_AT_ONCE})`)
  }
}

/**
 * From `@from`, exclusive, to `@to`: not here, and not on its way out. `id` with its table, since
 * `content` alone would be that of `leaving`.
 */
const ABSENT = (id: string) => `${id} > @from AND ${id} <= @to
  AND EXISTS (SELECT 1 FROM content c WHERE c.id = ${id} AND c.present = 0)
  AND NOT EXISTS (SELECT 1 FROM leaving l WHERE l.content = ${id})`

// In this order: what names something goes before it.
const OF_CONTENT = [
  `DELETE FROM tag WHERE ${ABSENT('tag.content')} AND local = 0 AND checked_at < @beforeMs
     AND coalesce(pulled_at, 0) < @beforeMs`,
  `UPDATE tag SET previous = NULL, previous_checked_at = NULL
     WHERE ${ABSENT('tag.previous')} AND checked_at < @beforeMs`,
  `DELETE FROM taken WHERE ${ABSENT('taken.content')}`,
  `DELETE FROM repository_content AS m WHERE ${ABSENT('m.content')} AND m.holds = 0 AND m.used_at < @beforeMs
     AND ${UNPROMISED_THERE}
     AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.content = m.content AND t.repository = m.repository)
     AND NOT EXISTS (${LISTERS_THERE})`,
  `DELETE FROM edge WHERE ${ABSENT('edge.parent')}
     AND NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = edge.parent)`,
  `DELETE FROM content AS gone WHERE id > @from AND id <= @to AND present = 0 AND ${UNNAMED} AND @beforeMs IS NOT NULL`,
]

const NAMING_REPOSITORIES = [
  'repository_content',
  'tag',
  'list',
  'taken',
  'promised',
  'lease',
  'carried',
]

function prepareTidy(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    end: row(
      'SELECT max(id) FROM (SELECT id FROM content WHERE id > ? ORDER BY id LIMIT ?)',
    ).pluck(),
    ofContent: OF_CONTENT.map(row),
    dropLists: row(
      `DELETE FROM list WHERE rowid IN (SELECT rowid FROM list WHERE checked_at < ? LIMIT ${NAMES_AT_ONCE})`,
    ),
    dropRepositories: row(
      `DELETE FROM repository WHERE id IN (
         SELECT id FROM repository r WHERE held = 0 AND pushed = 0
           ${NAMING_REPOSITORIES.map(table => `AND NOT EXISTS (SELECT 1 FROM ${table} WHERE repository = r.id)`).join(' ')}
         LIMIT ${NAMES_AT_ONCE})`,
    ),
    note: row(
      `INSERT INTO meta (key, value) VALUES (?, CAST(? AS INTEGER))
       ON CONFLICT DO UPDATE SET value = excluded.value`,
    ),
  }
}
