// Opens SQLite catalogs for tests in a directory that is theirs, and looks into the file from
// beside.
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { Test } from 'tap'
import { createEpochs } from '../../src/registry/epochs.ts'
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import type { EngineEvent } from '../../src/registry/ports/events.ts'
import { createManualClock } from './manual-clock.ts'

/** A catalog on `directory`, closed when `t` ends, with what it noted and the clock it goes by. */
export async function openCatalog(t: Test, directory: string) {
  const clock = createManualClock()
  const events: EngineEvent[] = []
  const catalog = await openSqliteCatalog({
    directory,
    clock,
    note: event => events.push(event),
    epochs: createEpochs(),
  })
  t.teardown(() => catalog.close())
  return { catalog, clock, events }
}

/**
 * Runs one query on the catalog's file by a connection of its own; the first column of all rows.
 */
export function queryBeside(directory: string, sql: string): unknown[] {
  const database = new Sqlite(join(directory, 'catalog.db'), { readonly: true })
  try {
    return database.prepare(sql).pluck().all()
  } finally {
    database.close()
  }
}
