// What is wrong with catalog.db as a file: all that SQLite can find, which is more than a start
// looks for. On a copy: to open the file of a server that was killed replays its log.
import Sqlite, { type Database } from 'better-sqlite3'
import { isDamage } from '../faults.ts'

/** Faults that SQLite tells of one file; a damaged one has thousands. */
const FAULTS_MAX = 20

export interface FileFaults {
  /** A start would not go on with it. */
  readonly isDamaged: boolean
  readonly faults: readonly string[]
}

/** Reads all of it, some times over. @throws SqliteError for what the disk refuses */
export function checkFile(file: string): FileFaults {
  try {
    const database = new Sqlite(file)
    try {
      return checkOpened(database)
    } finally {
      database.close()
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { isDamaged: true, faults: [error instanceof Error ? error.message : String(error)] }
  }
}

function checkOpened(database: Database): FileFaults {
  database.pragma('trusted_schema = OFF')
  database.pragma('cell_size_check = ON')
  const isDamaged = database.pragma('quick_check(1)', { simple: true }) !== 'ok'
  const verdicts = rowsOf(database.pragma(`integrity_check(${FAULTS_MAX})`), 'integrity_check')
  const faults = verdicts.filter(verdict => verdict !== 'ok')
  if (isDamaged || faults.length > 0) return { isDamaged, faults }
  const orphans = database.pragma('foreign_key_check') as readonly {
    table: string
    parent: string
  }[]
  const told = new Set(
    orphans.map(({ table, parent }) => `a row of ${table} without its ${parent}`),
  )
  return { isDamaged, faults: [...told].slice(0, FAULTS_MAX) }
}

function rowsOf(found: unknown, column: string): readonly string[] {
  return (found as readonly Record<string, unknown>[]).map(row => String(row[column]))
}
