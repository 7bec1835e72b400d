// Whether catalog.db is what a process left that ended in order, so that nothing needs to be read to see that it holds together. The
// mark is in two places that only this file brings to agree: a row, and the file's time of change, set to the whole second that the
// row names. Whoever else writes to the file, another version and `cp` among them, leaves another time.
import { statSync, utimesSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { isDamage } from './faults.ts'

const MS_PER_SECOND = 1000
const NS_PER_SECOND = 1_000_000_000n

/** The whole second, since 1970, in which the file last changed; undefined where it was not within one, or a log is to be replayed. */
export function markedSecond(file: string): number | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  if (found === undefined || found.mtimeNs % NS_PER_SECOND !== 0n) return undefined
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  return log !== undefined && log.size > 0 ? undefined : Number(found.mtimeNs / NS_PER_SECOND)
}

/** Does the row name `second`, what `markedSecond` found before anybody opened the file? */
export function wasClosedInOrder(database: Database, second: number | undefined): boolean {
  const table = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'meta'`)
  if (second === undefined || table.get() === undefined) return false
  const row = database.prepare(`SELECT value FROM meta WHERE key = 'closed at'`).pluck()
  return row.get() === second
}

/** A mark holds for one start: what is wrong with the file nevertheless is looked for at the next. @throws SqliteError for damage */
export function dropClosedMark(database: Database): void {
  try {
    database.prepare(`DELETE FROM meta WHERE key = 'closed at'`).run()
  } catch (error) {
    // On a full disk nothing else is written either, and the file stays what the mark says.
    if (isDamage(error)) throw error
  }
}

/** Closes the last connection to `file` and marks it. A file that cannot be marked is closed all the same. */
export function closeInOrder(database: Database, file: string, atMs: number): void {
  const second = Math.floor(atMs / MS_PER_SECOND)
  const isNoted = noteSecond(database, second)
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  if (isNoted) utimesSync(file, second, second)
}

function noteSecond(database: Database, second: number): boolean {
  try {
    const sql = `INSERT OR REPLACE INTO meta (key, value) VALUES ('closed at', CAST(? AS INTEGER))`
    database.prepare(sql).run(second)
    return true
  } catch {
    // A full disk, most likely: the next start reads all of the file.
    return false
  }
}
