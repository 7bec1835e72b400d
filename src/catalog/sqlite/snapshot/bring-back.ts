// A snapshot that becomes a catalog again, before anybody opens it as one.
import Sqlite from 'better-sqlite3'
import { StoreError, storeErrorOf } from '../../../registry/ports/store-error.ts'
import { faultOf } from '../faults.ts'
import { NEWEST_VERSION, versionOf } from '../schema/schema.ts'

/**
 * Numbers that the edge may have given since the snapshot, before it was lost, are given to nothing
 * else: more than any edge gives, and few enough for a hundred thousand times.
 */
const SKIPPED_NUMBERS = 2 ** 36
const MAJOR = 1000

/** It is a catalog, and holds together. @throws StoreError */
export function checkSnapshot(file: string): void {
  withSnapshot(file, { readonly: true }, database => {
    const verdict: unknown = database.pragma('quick_check(1)', { simple: true })
    if (verdict !== 'ok')
      throw new StoreError('corrupt', `it does not hold together: ${String(verdict)}`)
    const version = versionOf(database)
    if (version === 0) throw new StoreError('corrupt', 'it is no catalog')
    if (Math.floor(version / MAJOR) > Math.floor(NEWEST_VERSION / MAJOR))
      throw new StoreError('io', `it is of version ${version}: a newer entrepot reads it`)
  })
}

/**
 * The next start looks for all that it tells of, and says what is missing. `from` tells that start
 * where it is from. @throws StoreError
 */
export function markBroughtBack(file: string, from: string): void {
  withSnapshot(file, { readonly: false }, database => {
    const mark = database.transaction(() => {
      database
        .prepare(`UPDATE meta SET value = value + CAST(? AS INTEGER) WHERE key = 'sequence'`)
        .run(SKIPPED_NUMBERS)
      database
        .prepare(
          `INSERT INTO meta (key, value) VALUES ('damaged predecessor', ?)
           ON CONFLICT DO UPDATE SET value = excluded.value`,
        )
        .run(from)
    })
    mark()
  })
}

function withSnapshot(
  file: string,
  { readonly }: { readonly readonly: boolean },
  act: (database: Sqlite.Database) => void,
): void {
  try {
    const database = new Sqlite(file, { readonly, fileMustExist: true })
    try {
      act(database)
    } finally {
      database.close()
    }
  } catch (error) {
    throw storeErrorOf(faultOf(error))
  }
}
