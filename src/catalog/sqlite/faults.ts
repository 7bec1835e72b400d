// What SQLite and the file system report, as what a StoreError says of it with a hint: a value,
// because the writer's thread reports it to another one.
import { statSync } from 'node:fs'
import {
  StoreError,
  type StoreErrorValue,
  storeErrorValue,
  type StoreFailure,
} from '../../registry/ports/store-error.ts'

const DAMAGE = /^SQLITE_(?:CORRUPT|NOTADB)/
const FULL = /^(?:SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC|EDQUOT)$/
const FORBIDDEN =
  /^(?:SQLITE_CANTOPEN|SQLITE_READONLY|SQLITE_PERM|EACCES|EPERM|EROFS|ENOTDIR|EEXIST)/
const OPERATION = /^SQLITE_(?:CONSTRAINT|MISMATCH|TOOBIG|RANGE)/

/**
 * What SQLite says of a directory does not tell which.
 * @throws StoreError io when there is something at `file` and it is no file
 */
export function assertFile(file: string, hint: string): void {
  const isOther = statSync(file, { throwIfNoEntry: false })?.isFile() === false
  if (isOther) throw new StoreError('io', `${file} is not a file`, { hint })
}

/** The database file does not hold together. */
export function isDamage(error: unknown): boolean {
  return DAMAGE.test(codeOf(error)) || (error instanceof StoreError && error.failure === 'corrupt')
}

/** The fault lies in the values of one operation, so that others may well succeed. */
export function isOperationFault(error: unknown): boolean {
  const code = codeOf(error)
  return !code.startsWith('SQLITE_') || OPERATION.test(code)
}

export function faultOf(error: unknown): StoreErrorValue {
  if (error instanceof StoreError) return storeErrorValue(error)
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  const message = `the catalog failed: ${reason}${code === '' ? '' : ` (${code})`}`
  const said = (failure: StoreFailure, hint?: string): StoreErrorValue => ({
    failure,
    message,
    hint,
    room: undefined,
    isPassing: false,
  })
  if (FULL.test(code)) return said('full', 'free space on the file system of the data directory')
  if (DAMAGE.test(code)) {
    return said(
      'corrupt',
      'restart: a damaged catalog is moved aside and begun anew; then check the disk',
    )
  }
  const hint = FORBIDDEN.test(code)
    ? 'the data directory must be a directory that the user who runs the server may write to, with all files in it'
    : undefined
  return said('io', hint)
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : ''
}
