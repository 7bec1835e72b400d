// What SQLite and the file system report, as StoreErrors with a hint; also as plain values, to
// cross threads.
import { statSync } from 'node:fs'
import { StoreError, type StoreFailure } from '../../registry/ports/store-error.ts'

/** A StoreError as a plain value. */
export interface Fault {
  readonly failure: StoreFailure
  readonly message: string
  readonly hint: string | undefined
}

const DAMAGE = /^SQLITE_(?:CORRUPT|NOTADB)/
const FULL = /^(?:SQLITE_FULL|ENOSPC|EDQUOT)$/
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

export function faultOf(error: unknown): Fault {
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  const message = `the catalog failed: ${reason}${code === '' ? '' : ` (${code})`}`
  if (error instanceof StoreError)
    return { failure: error.failure, message: error.message, hint: error.hint }
  if (FULL.test(code))
    return { failure: 'full', message, hint: 'free space on the file system of the data directory' }
  if (DAMAGE.test(code))
    return {
      failure: 'corrupt',
      message,
      hint: 'restart: a damaged catalog is moved aside and begun anew; then check the disk',
    }
  const hint = FORBIDDEN.test(code)
    ? 'the data directory must be a directory that the user who runs the server may write to, with all files in it'
    : undefined
  return { failure: 'io', message, hint }
}

export function storeErrorOf(fault: Fault): StoreError {
  return new StoreError(
    fault.failure,
    fault.message,
    fault.hint === undefined ? {} : { hint: fault.hint },
  )
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : ''
}
