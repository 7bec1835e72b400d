// Opening the SQLite catalog of a data directory: lock, writer thread, reader, in this order;
// whatever was taken is given back when a later step fails.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ChangedAnswers } from '../../registry/ports/catalog.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent } from '../../registry/ports/events.ts'
import { createSqliteCatalog, type SqliteCatalog } from './catalog.ts'
import { openForReading } from './database.ts'
import { storeErrorOf } from '../../registry/ports/store-error.ts'
import { assertFile, faultOf } from './faults.ts'
import { lockDirectory } from './lock.ts'
import { metaReads } from './meta.ts'
import { prepareReads } from './reads.ts'
import { startWriter } from './writer.ts'

export interface SqliteCatalogOptions {
  /** The data directory; made when it is not there. Holds `catalog.db` and `lock.db`. */
  readonly directory: string
  readonly note: NoteEvent
  readonly clock: Clock
  /**
   * Is told whose answers a write may have changed, before whoever made it hears that it is done.
   */
  readonly epochs: ChangedAnswers
}

/**
 * The catalog of `directory`, checked and migrated. Its `damaged` is true when the file that was
 * there did not hold together: that one is kept under a dated name, this one is empty, and recovery
 * is due.
 *
 * @throws StoreError, with a hint: busy when another process has the directory; io when it cannot
 * be used, or was written by a newer major version; full.
 */
export async function openSqliteCatalog(options: SqliteCatalogOptions): Promise<SqliteCatalog> {
  const { directory, note, clock, epochs } = options
  const lock = orStoreError(() => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return lockDirectory(directory)
  })
  try {
    const file = join(directory, 'catalog.db')
    const elsewhere = 'to keep the data elsewhere, let storage.rootdirectory point there'
    assertFile(file, `move ${file} away; ${elsewhere}`)
    const { writer, evidence, upToDate } = await startWriter(
      { file, nowMs: clock.nowMs() },
      error =>
        note({ kind: 'storage failed', failure: 'io', reason: error.message, hint: error.hint }),
    )
    if (upToDate !== undefined) note({ kind: 'catalog brought up to date', ...upToDate })
    if (evidence !== undefined)
      note({
        kind: 'storage failed',
        failure: 'corrupt',
        reason: `the catalog was damaged; it was moved to ${evidence} and a new one begun`,
        hint: 'cached content is found again as it is pulled; check the disk, then remove the damaged file',
      })
    try {
      const reader = orStoreError(() => openReader(file, () => clock.nowMs()))
      const catalog = createSqliteCatalog({ reader, writer, lock, clock, epochs })
      await catalog.reserveSequence()
      return catalog
    } catch (error) {
      await writer.close()
      throw error
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

function openReader(file: string, nowMs: () => number) {
  const database = openForReading(file)
  return {
    reads: prepareReads(database, nowMs),
    meta: metaReads(database),
    close: () => void database.close(),
  }
}

function orStoreError<T>(take: () => T): T {
  try {
    return take()
  } catch (error) {
    throw storeErrorOf(faultOf(error))
  }
}
