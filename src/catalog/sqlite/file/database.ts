// Opening catalog.db: the writer's connection with its pragmas, the check at start, and what
// happens to a damaged file; and the reader's connection. Which statements run on them is not
// decided here.
import { statSync } from 'node:fs'
import Sqlite, { type Database } from 'better-sqlite3'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { dropMark, isMarked, markedSecond, noteChecked } from './closed-mark.ts'
import { finishMove, moveAside, noteEvidence, putBack, unnotedEvidence } from './evidence.ts'
import { isDamage } from '../faults.ts'
import { closeToOthers } from './file-mode.ts'
import { keepPlans } from './kept-plans.ts'
import { assertSchema } from '../schema/assert-schema.ts'
import { migrate, NEWEST_VERSION, versionOf } from '../schema/schema.ts'

/** Others never hold the file for long; this covers a checkpoint or a backup. */
const BUSY_TIMEOUT_MS = 5000
/** A WAL that once grew beyond this is cut back at the next reset. */
const JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
/** Pages (of 4 KiB) in the WAL after which a commit also checkpoints. */
const CHECKPOINT_PAGES = 1000
/**
 * Of pages that were read or written, in KiB, of the connection that writes. The kernel has them as
 * well. A quarter less than the library would take: where a million files are known, what is
 * written lies everywhere, and fills whatever there is.
 */
const WRITTEN_CACHE_KIB = 12_000
const SYNCHRONOUS_FULL = 2
/** Of `auto_vacuum`: free pages are given back when somebody says so. */
const INCREMENTAL = 2
/** Written anew within a second, and in memory. */
const REWRITTEN_MAX_BYTES = 64 * 1024 * 1024

/** The versions of the file before this start and since. */
export interface BroughtUpToDate {
  readonly from: number
  readonly to: number
}

/** Is told before the first step, which may take a minute where there is much. */
export type MigrationBegins = (versions: BroughtUpToDate & { readonly bytes: number }) => void

interface OpenedFile {
  readonly database: Database
  /** Undefined when the file is new, or stayed as it was. */
  readonly upToDate: BroughtUpToDate | undefined
}

export interface WritableCatalog extends OpenedFile {
  /** Where a damaged predecessor was moved, when there was one. */
  readonly evidence: string | undefined
}

/**
 * Opens, checks and migrates. What was closed in order and is as it was left then is not read to
 * check it. A file that does not hold together is kept under a dated name and a new one begun.
 * `atMs` names it.
 *
 * @throws StoreError for a file of a newer major version, or of this one with other tables;
 * SqliteError for what the disk refuses.
 */
export function openForWriting(
  file: string,
  atMs: number,
  begins: MigrationBegins = () => {},
): WritableCatalog {
  finishMove(file)
  try {
    const opened = openChecked(file, atMs, begins)
    return { ...opened, evidence: orClosed(opened, () => noteUnnoted(opened, file)) }
  } catch (error) {
    if (!isDamage(error)) throw error
  }
  const evidence = moveAside(file, atMs)
  try {
    const opened = openChecked(file, atMs, () => {})
    orClosed(opened, () => noteEvidence(opened.database, evidence))
    return { ...opened, evidence }
  } catch (error) {
    // Otherwise the next try would find nothing, or a new file that knows of no damage.
    putBack(evidence, file)
    throw error
  }
}

function noteUnnoted({ database }: OpenedFile, file: string): string | undefined {
  const evidence = unnotedEvidence(database, file)
  if (evidence !== undefined) noteEvidence(database, evidence)
  return evidence
}

function orClosed<T>({ database }: OpenedFile, step: () => T): T {
  try {
    return step()
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * One connection for reads; it sees every commit that was acknowledged before a statement begins.
 */
export function openForReading(file: string): Database {
  const database = new Sqlite(file, {
    readonly: true,
    fileMustExist: true,
    timeout: BUSY_TIMEOUT_MS,
  })
  database.pragma('query_only = ON')
  setGuards(database)
  keepPlans(database)
  return database
}

function openChecked(file: string, atMs: number, begins: MigrationBegins): OpenedFile {
  const second = markedSecond(file)
  closeToOthers(file)
  const database = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    setGuards(database)
    keepPlans(database)
    // Only before the first table is made: then pages can be given back to the file system. Later
    // it would be a write, and a full disk must not keep the edge from serving.
    if (database.pragma('page_count', { simple: true }) === 0)
      database.pragma('auto_vacuum = INCREMENTAL')
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    database.pragma(`journal_size_limit = ${JOURNAL_LIMIT_BYTES}`)
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    database.pragma(`cache_size = -${WRITTEN_CACHE_KIB}`)
    const isTrusted = isMarked(database, second, atMs)
    if (!isTrusted) assertWhole(database)
    const from = versionOf(database)
    if (from !== 0 && from < NEWEST_VERSION)
      begins({ from, to: NEWEST_VERSION, bytes: statSync(file).size })
    const to = migrate(database)
    // A later minor version has more, and this program runs on it.
    if (to === NEWEST_VERSION) assertSchema(database)
    if (from !== 0) letShrink(database)
    if (!isTrusted) noteChecked(database, atMs)
    dropMark(database, file, second)
    assertDurable(database)
    return { database, upToDate: from === 0 || from === to ? undefined : { from, to } }
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Reads every page.
 * @throws StoreError corrupt; SqliteError, which a damaged page makes the pragma throw rather than
 * answer
 */
function assertWhole(database: Database): void {
  const verdict = database.pragma('quick_check(1)', { simple: true })
  if (verdict === 'ok') return
  throw new StoreError('corrupt', `the catalog is damaged: ${String(verdict)}`)
}

/**
 * A file that was begun before pages were given back is written anew, once, where that is quick; a
 * larger one uses its free pages again, and stays as long as it is. Not while there is no room.
 */
function letShrink(database: Database): void {
  const number = (name: string) => database.pragma(name, { simple: true }) as number
  if (number('auto_vacuum') === INCREMENTAL) return
  if (number('page_count') * number('page_size') > REWRITTEN_MAX_BYTES) return
  // A container may have no directory for temporary files.
  database.pragma('temp_store = MEMORY')
  try {
    database.pragma('auto_vacuum = INCREMENTAL')
    database.exec('VACUUM')
  } catch (error) {
    if (isDamage(error)) throw error
  } finally {
    database.pragma('temp_store = DEFAULT')
  }
}

function setGuards(database: Database): void {
  database.pragma('trusted_schema = OFF')
  database.pragma('cell_size_check = ON')
  // A memory-mapped page turns a disk error into SIGBUS.
  database.pragma('mmap_size = 0')
}

/**
 * The library is built to fall back to NORMAL once it finds the file in WAL mode, which loses
 * acknowledged commits in a power cut: so this looks after the first statements have run, not
 * before.
 */
function assertDurable(database: Database): void {
  const level = database.pragma('synchronous', { simple: true })
  const journal = database.pragma('journal_mode', { simple: true })
  if (level === SYNCHRONOUS_FULL && journal === 'wal') return
  throw new StoreError(
    'io',
    `the catalog cannot be made durable: synchronous=${String(level)}, journal_mode=${String(journal)}`,
    { hint: 'the data directory must be on a local file system that supports shared memory files' },
  )
}
