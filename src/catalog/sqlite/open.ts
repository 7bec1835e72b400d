// Opening the SQLite catalog of a data directory: lock, writer thread, reader, in this order;
// whatever was taken is given back when a later step fails.
import { mkdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { ChangedAnswers } from '../../registry/ports/catalog.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent } from '../../registry/ports/events.ts'
import { createSqliteCatalog, type SqliteCatalog } from './catalog.ts'
import { openForReading } from './file/database.ts'
import { StoreError, storeErrorOf } from '../../registry/ports/store-error.ts'
import { assertFile, faultOf } from './faults.ts'
import { lockDirectory } from './file/lock.ts'
import { metaReads } from './meta.ts'
import { prepareReads } from './reads.ts'
import { Spare } from './writer/spare.ts'
import { startWriter } from './writer/writer.ts'

export interface SqliteCatalogOptions {
  /** The data directory; made when it is not there. Holds `catalog.db` and `lock.db`. */
  readonly directory: string
  readonly note: NoteEvent
  readonly clock: Clock
  /**
   * Is told whose answers a write may have changed, before whoever made it hears that it is done.
   */
  readonly epochs: ChangedAnswers
  /** Kept beside the file, for what takes content away from a full disk. Default 0: nothing. */
  readonly spareBytes?: number
  /**
   * Does anybody wait for content to leave? While nobody does, the thread that writes takes its
   * time for that. Default always.
   */
  readonly isHurried?: () => boolean
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
  const { directory, note, clock, epochs, spareBytes = 0, isHurried = () => true } = options
  const lock = orStoreError(() => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return lockDirectory(directory)
  })
  try {
    const file = join(directory, 'catalog.db')
    const elsewhere = 'to keep the data elsewhere, let storage.rootdirectory point there'
    assertFile(file, `move ${file} away; ${elsewhere}`)
    const spare = new Spare(join(directory, 'catalog.spare'), spareBytes)
    const { opened, isTight } = await withSpare(spare, directory, () =>
      startWriter(
        { file, nowMs: clock.nowMs() },
        {
          onDeath: ({ message, hint }) =>
            note({ kind: 'storage failed', failure: 'io', reason: message, hint }),
          migrates: versions => note({ kind: 'catalog is being brought up to date', ...versions }),
        },
      ),
    )
    const { writer, evidence, upToDate } = opened
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
      const catalog = createSqliteCatalog({
        reader,
        writer,
        spare,
        lock,
        clock,
        epochs,
        isHurried,
      })
      await catalog.reserveSequence()
      // Where it was needed the rest of the start may need some of it as well.
      if (!isTight) await spare.keep()
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

/**
 * Without a free byte not even a log can be begun, and without that nothing could leave. The lock
 * is held: the spare room is nobody else's.
 */
async function withSpare<T>(
  spare: Spare,
  directory: string,
  open: () => Promise<T>,
): Promise<{ readonly opened: T; readonly isTight: boolean }> {
  try {
    return { opened: await open(), isTight: false }
  } catch (error) {
    if (!isFullFor(error, directory) || !(await spare.release())) throw error
    return { opened: await open(), isTight: true }
  }
}

/** SQLite does not say why it could not make a file. */
function isFullFor(error: unknown, directory: string): boolean {
  if (!(error instanceof StoreError)) return false
  if (error.failure === 'full') return true
  const { files, ffree } = statfsSync(directory)
  return error.failure === 'io' && files > 0 && ffree === 0
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
