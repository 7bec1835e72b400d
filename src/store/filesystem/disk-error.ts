// What the operating system said → StoreError, with what the operator can do. One place, so that
// the same fault always reads the same in the log.
import { StoreError, type StoreFailure } from '../../registry/ports/store-error.ts'

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Linux numbers that node cannot name: its `code` is then "Unknown system error -122". */
const UNNAMED = new Map([
  [-122, 'EDQUOT'],
  [-117, 'EUCLEAN'],
  [-74, 'EBADMSG'],
])

/** The errno name (`ENOSPC`), or undefined for anything that is not a system error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const { code } = error
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code
  if (!('errno' in error) || typeof error.errno !== 'number') return undefined
  return UNNAMED.get(error.errno) ?? `errno ${error.errno}`
}

/** There is no room for it, by the system's word. */
export function isFull(error: unknown): boolean {
  return FULL.has(errnoOf(error) ?? '')
}

/** A device that fails at one place; a file system whose structure or checksum is wrong there. */
const UNREADABLE = new Set(['EIO', 'EUCLEAN', 'EBADMSG'])

/** There is something, and the disk cannot give it. Of reading and looking alone. */
export function isUnreadable(error: unknown): boolean {
  return UNREADABLE.has(errnoOf(causeOf(error)) ?? '')
}

/** What the system said, also of what `diskError` has made of it. */
export function causeOf(error: unknown): unknown {
  return error instanceof StoreError ? error.cause : error
}

/** For people: `EIO`, or what else was met. */
export function whyUnread(error: unknown): string {
  const cause = causeOf(error)
  return errnoOf(cause) ?? String(cause)
}

export interface Doing {
  /** A verb phrase for the message: `write a part`. */
  readonly doing: string
  /** The root directory, for the hint. */
  readonly root: string
}

/**
 * A StoreError for a system error; anything else (a fault in this program, a StoreError) comes back
 * unchanged.
 */
export function diskError(error: unknown, { doing, root }: Doing): unknown {
  const errno = errnoOf(error)
  if (errno === undefined) return error
  const failure: StoreFailure = isFull(error) ? 'full' : 'io'
  return new StoreError(failure, `cannot ${doing}: ${errno}`, {
    hint: hintFor(errno, root),
    cause: error,
  })
}

function hintFor(errno: string, root: string): string {
  switch (errno) {
    case 'ENOSPC':
      return `free space (or inodes, see df -i) under ${root} or lower storage.maxsize`
    case 'EDQUOT':
      return `raise the disk quota of this user under ${root} or lower storage.maxsize`
    case 'EFBIG':
      return 'raise the limit on file sizes (ulimit -f, LimitFSIZE= of the service)'
    case 'EMFILE':
    case 'ENFILE':
      return 'raise the limit on open files (ulimit -n, LimitNOFILE= of the service)'
    case 'EACCES':
    case 'EPERM':
      return `give ${root} and everything in it to the user that runs this server (chown -R)`
    case 'EROFS':
      return `the file system of ${root} is read-only: see the kernel log, repair it and mount it again`
    default:
      return `see the kernel log (dmesg) for the disk that holds ${root}`
  }
}

/**
 * Swallows the errors that mean "nothing there", and "nothing that could be looked at": for what
 * one bad file must not keep from the rest.
 */
export function ignoreMissingOrBad(error: unknown): void {
  if (!isUnreadable(error)) ignoreMissing(error)
}

/**
 * Swallows the one error that means "nothing there"; for steps whose aim is that a file is gone.
 */
export function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error
}
