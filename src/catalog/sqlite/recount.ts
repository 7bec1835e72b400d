// How often content is needed, counted anew. Triggers keep the count (schema-needs.ts); a file that
// something else has written, or a fault of theirs, would have content leave that an image needs,
// or stay for good. A few rows at a time, in the order of their numbers; how far that has come
// stands in the file.
import type { Database } from 'better-sqlite3'
import { NEEDS } from './needed.ts'

/**
 * Who counts reads as many rows, and pushes wait meanwhile. What more need than that is far from
 * being needed by nothing; once it is less, it is counted.
 */
const COUNTED_BELOW = 1_000

/** How often the content `c` is needed. */
const TIMES = `(
  (SELECT count(*) FROM edge e CROSS JOIN content p ON p.id = e.parent AND p.present = 1
   WHERE e.child = c.id AND ${NEEDS})
  + (SELECT count(*) FROM repository_content m WHERE m.content = c.id AND coalesce(m.media_type, '') <> ''))`

export function recountReads(database: Database) {
  const find = database.prepare('SELECT value FROM meta WHERE key = ?').pluck()
  const numberOf = (key: string) => (find.get(key) as number | undefined) ?? 0

  return { recounted: () => ({ upTo: numberOf('recounted'), mended: numberOf('miscounted') }) }
}

export function recountWrites(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const end = row(
    'SELECT max(id) FROM (SELECT id FROM content WHERE id > ? ORDER BY id LIMIT ?)',
  ).pluck()
  const mend = row(
    `UPDATE content SET
       refs = n.times,
       loose_at = iif(n.times > 0 OR present = 0, NULL, iif(refs > 0, 0, loose_at))
     FROM (SELECT c.id, ${TIMES} AS times FROM content c WHERE c.id > ? AND c.id <= ? AND c.refs < ${COUNTED_BELOW}) n
     WHERE content.id = n.id AND content.refs <> n.times`,
  )
  const note = row(
    `INSERT INTO meta (key, value) VALUES (?, CAST(? AS INTEGER))
     ON CONFLICT DO UPDATE SET value = excluded.value`,
  )
  const { recounted } = recountReads(database)

  return {
    recount(rows: number): void {
      const { upTo: from, mended } = recounted()
      const to = end.get(from, rows) as number | null
      const { changes } = to === null ? { changes: 0 } : mend.run(from, to)
      note.run('recounted', to ?? 0)
      if (changes > 0) note.run('miscounted', mended + changes)
    },
  }
}
