// An operator's file of accounts replaced by another text of it: at once and whole, for whoever
// reads it and whenever the power goes; by one at a time.
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { FILE_MAX_BYTES } from '../access/htpasswd/limits.ts'
import { syncDirectory } from './sync-directory.ts'

/** Of a new one: nobody's but its owner's. */
const NEW_MODE = 0o600
const PERMISSIONS = 0o7777

/** Somebody else changes the file, or has been killed while doing so. */
export class FileTakenError extends Error {
  readonly lock: string

  constructor(lock: string) {
    super(`${lock} is there`)
    this.name = 'FileTakenError'
    this.lock = lock
  }
}

/**
 * Replaces the file at `path`, or where a link there leads, by what `edit` makes of its text: of
 * the empty one where there is no file, which is made then, for its owner alone. Mode and owner
 * stay; a new one is owned like its directory where this user may give it away.
 *
 * While this runs, the new text is in `<file>.lock`, which is what keeps a second one out.
 * @returns false where `edit` gives undefined, and nothing was changed
 * @throws FileTakenError, the system's errors, and what `edit` throws; then nothing was changed,
 * but where the directory cannot be synced behind it
 */
export function replaceFile(path: string, edit: (text: string) => string | undefined): boolean {
  const file = followed(path)
  const lock = `${file}.lock`
  const descriptor = takeLock(lock)
  let isThere = true
  try {
    const before = statSync(file, { throwIfNoEntry: false })
    if (before?.isDirectory()) throw new Error('it is a directory')
    if (before?.isFile() === false) throw new Error('it is no regular file')
    if ((before?.size ?? 0) > FILE_MAX_BYTES) throw new Error('it is far too large')
    const text = edit(before === undefined ? '' : readFileSync(file, 'utf8'))
    if (text === undefined) return false
    ftruncateSync(descriptor)
    writeFileSync(descriptor, text)
    if (before === undefined) ownLike(descriptor, statSync(dirname(file)))
    else own(descriptor, before)
    fchmodSync(descriptor, before === undefined ? NEW_MODE : before.mode & PERMISSIONS)
    fsyncSync(descriptor)
    renameSync(lock, file)
    isThere = false
    syncDirectory(dirname(file))
    return true
  } finally {
    closeSync(descriptor)
    if (isThere) rmSync(lock, { force: true })
  }
}

/** A link to a file that is not there yet is a file of its own name. */
function followed(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function takeLock(lock: string): number {
  try {
    return openSync(lock, 'wx', NEW_MODE)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw new FileTakenError(lock)
    throw error
  }
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Root alone gives files away; who is not keeps a new one. */
function ownLike(descriptor: number, owner: Owner): void {
  try {
    own(descriptor, owner)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) throw error
  }
}

/** Whose the file was, or whoever reads it might not be able to any more. */
function own(descriptor: number, { uid, gid }: Owner): void {
  const mine = fstatSync(descriptor)
  if (mine.uid !== uid || mine.gid !== gid) fchownSync(descriptor, uid, gid)
}
