// One process per data directory: an exclusive lock on lock.db, which the kernel lets go when the
// process dies. It is held by an open transaction; nothing is ever written to the file, nor beside
// it.
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { assertFile, faultOf, isDamage } from '../faults.ts'
import { closeToOthers } from './file-mode.ts'

const HARMLESS = 'nothing is kept in it'

/**
 * @throws StoreError, with a hint: busy when another process (or this one) has the directory
 * already; io when lock.db is nothing that can be locked
 */
export function lockDirectory(directory: string): { release(): void } {
  const file = join(directory, 'lock.db')
  assertFile(file, `remove ${file}; ${HARMLESS}`)
  return locked(directory, file, open(file))
}

/** Closes `database` again where it cannot be locked. */
function locked(directory: string, file: string, database: Database): { release(): void } {
  try {
    // With a journal on disk there would be no lock where there is no room.
    database.pragma('journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    throw refusal(error, directory, file)
  }
  return {
    release() {
      database.close()
    },
  }
}

/**
 * The same for who only looks: no file is made, and none changed. Where there is no lock file, or
 * nobody can write, there is nobody to be kept out.
 * @throws StoreError as lockDirectory
 */
export function lockToLook(directory: string): { release(): void } {
  const file = join(directory, 'lock.db')
  const nothing = { release: () => {} }
  if (!existsSync(file)) return nothing
  assertFile(file, `remove ${file}; ${HARMLESS}`)
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
  } catch (error) {
    if (Reflect.get(Object(error), 'code') === 'EROFS') return nothing
    throw unusable(error, file)
  }
  return locked(directory, file, new Sqlite(file, { timeout: 0, fileMustExist: true }))
}

function open(file: string): Database {
  try {
    closeToOthers(file)
    return new Sqlite(file, { timeout: 0 })
  } catch (error) {
    throw unusable(error, file)
  }
}

function refusal(error: unknown, directory: string, file: string): StoreError {
  if (error instanceof Sqlite.SqliteError && error.code === 'SQLITE_BUSY') {
    return new StoreError('busy', `the data directory ${directory} is in use by another process`, {
      hint: 'stop the other process, or set storage.rootdirectory to another directory',
      cause: error,
    })
  }
  if (!isDamage(error)) return unusable(error, file)
  // Not moved aside as a catalog would be: whoever put something there had better know.
  return new StoreError('io', `${file} is not the lock file of a data directory`, {
    hint: `remove ${file}; ${HARMLESS}`,
    cause: error,
  })
}

function unusable(cause: unknown, file: string): StoreError {
  const { failure, hint } = faultOf(cause)
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StoreError(failure, `${file} cannot be locked: ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
  })
}
