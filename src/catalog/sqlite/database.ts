// Opening catalog.db: the writer's connection with its pragmas, the check at start, and what
// happens to a damaged file; and the reader's connection. Which statements run on them is not
// decided here.
import { existsSync, renameSync } from 'node:fs'
import Sqlite, { type Database } from 'better-sqlite3'
import { StoreError } from '../../registry/ports/store-error.ts'
import { dropMark, isMarked, markedSecond, noteChecked } from './closed-mark.ts'
import { isDamage } from './faults.ts'
import { closeToOthers } from './file-mode.ts'
import { migrate, versionOf } from './schema.ts'

/** Others never hold the file for long; this covers a checkpoint or a backup. */
const BUSY_TIMEOUT_MS = 5000
/** A WAL that once grew beyond this is cut back at the next reset. */
const JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
/** Pages (of 4 KiB) in the WAL after which a commit also checkpoints. */
const CHECKPOINT_PAGES = 1000
const SYNCHRONOUS_FULL = 2

/** The versions of the file before this start and since. */
export interface BroughtUpToDate {
  readonly from: number
  readonly to: number
}

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
 * @throws StoreError for a file of a newer major version; SqliteError for what the disk refuses.
 */
export function openForWriting(file: string, atMs: number): WritableCatalog {
  try {
    return { ...openChecked(file, atMs), evidence: undefined }
  } catch (error) {
    if (!isDamage(error)) throw error
  }
  const evidence = moveAside(file, atMs)
  const opened = openChecked(file, atMs)
  // Remembered until recovery is done, which a crash may come before.
  opened.database
    .prepare(`INSERT INTO meta (key, value) VALUES ('damaged predecessor', ?)`)
    .run(evidence)
  return { ...opened, evidence }
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
  return database
}

function openChecked(file: string, atMs: number): OpenedFile {
  const second = markedSecond(file)
  closeToOthers(file)
  const database = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    setGuards(database)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    database.pragma(`journal_size_limit = ${JOURNAL_LIMIT_BYTES}`)
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    const isTrusted = isMarked(database, second, atMs)
    if (!isTrusted) assertWhole(database)
    const from = versionOf(database)
    const to = migrate(database)
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

function moveAside(file: string, atMs: number): string {
  const date = new Date(atMs).toISOString().replace(/[:-]/g, '').replace(/\.\d+/, '')
  let evidence = `${file}.damaged-${date}`
  for (let n = 2; existsSync(evidence); n++) evidence = `${file}.damaged-${date}-${n}`
  // The log first: left behind it would be replayed into the new file.
  for (const suffix of ['-wal', '-shm', ''])
    if (existsSync(file + suffix)) renameSync(file + suffix, evidence + suffix)
  return evidence
}
