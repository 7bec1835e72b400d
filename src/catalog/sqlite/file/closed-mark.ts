// Whether catalog.db is what a process left that ended in order, so that nothing needs to be read
// to see that it holds together. The mark is in two places that only this file brings to agree: a
// row, and the file's time of change, set to the whole second that the row names. Whoever else
// writes to the file, another version and `cp` among them, leaves another time.
import { statSync, utimesSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { isDamage } from '../faults.ts'

const MS_PER_SECOND = 1000
const NS_PER_SECOND = 1_000_000_000n
/**
 * Even a file that is always closed in order is read so often: a disk harms also what no statement
 * meets.
 */
const CHECKED_EVERY_SECONDS = 30 * 24 * 60 * 60

/**
 * The whole second, since 1970, in which the file last changed; undefined where it was not within
 * one, or a log is to be replayed.
 */
export function markedSecond(file: string): number | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  if (found === undefined || found.mtimeNs % NS_PER_SECOND !== 0n) return undefined
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  return log !== undefined && log.size > 0 ? undefined : Number(found.mtimeNs / NS_PER_SECOND)
}

/**
 * Does the row name `second`, what `markedSecond` found before anybody opened the file, and is it
 * not long since all was read?
 */
export function isMarked(database: Database, second: number | undefined, atMs: number): boolean {
  const table = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'meta'`)
  if (second === undefined || table.get() === undefined) return false
  const row = database.prepare('SELECT value FROM meta WHERE key = ?').pluck()
  const checkedAt = row.get('checked at')
  if (row.get('closed at') !== second || typeof checkedAt !== 'number') return false
  const ageSeconds = atMs / MS_PER_SECOND - checkedAt
  return ageSeconds >= 0 && ageSeconds < CHECKED_EVERY_SECONDS
}

/** All of the file was read. @throws SqliteError for damage */
export function noteChecked(database: Database, atMs: number): void {
  unlessFull(() => setRow(database, 'checked at', Math.floor(atMs / MS_PER_SECOND)))
}

/**
 * A mark holds for one start: what is wrong with the file nevertheless is looked for at the next.
 * The file's time first, since the row stays in the file, and in whatever is copied from it, until
 * the log is moved there.
 * @throws SqliteError for damage
 */
export function dropMark(database: Database, file: string, second: number | undefined): void {
  if (second !== undefined) touch(file, second + 0.5)
  unlessFull(() => database.prepare(`DELETE FROM meta WHERE key = 'closed at'`).run())
}

/**
 * Closes the last connection to `file` and marks it. A file that cannot be marked is closed all the
 * same.
 */
export function closeInOrder(database: Database, file: string, atMs: number): void {
  const second = Math.floor(atMs / MS_PER_SECOND)
  const isNoted = unlessFull(() => setRow(database, 'closed at', second))
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  if (isNoted) touch(file, second)
}

function setRow(database: Database, key: string, value: number): void {
  const sql = 'INSERT OR REPLACE INTO meta (key, value) VALUES (?, CAST(? AS INTEGER))'
  database.prepare(sql).run(key, value)
}

/**
 * What is not noted costs the next start a look at all of the file.
 * @throws SqliteError for damage
 */
function unlessFull(note: () => void): boolean {
  try {
    note()
    return true
  } catch (error) {
    if (isDamage(error)) throw error
    return false
  }
}

/** Times belong to the file's owner: somebody else's file is never marked. */
function touch(file: string, second: number): void {
  try {
    utimesSync(file, second, second)
  } catch {}
}
