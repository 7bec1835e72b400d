// One process per data directory: an exclusive lock on lock.db, which the kernel lets go when the process dies.
// It is held by an open transaction; nothing is ever written to the file.
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { StoreError } from '../../registry/ports/blob-store.ts'

/** @throws StoreError busy, with a hint, when another process (or this one) has the directory already. */
export function lockDirectory(directory: string): { release(): void } {
  const database = new Sqlite(join(directory, 'lock.db'), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!(error instanceof Sqlite.SqliteError) || error.code !== 'SQLITE_BUSY') throw error
    throw new StoreError('busy', `the data directory ${directory} is in use by another process`, {
      hint: 'stop the other process, or set storage.rootdirectory to another directory',
      cause: error,
    })
  }
  return {
    release() {
      database.close()
    },
  }
}
