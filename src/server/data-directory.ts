// storage.rootdirectory: made where it is not there, and told of by that key where it cannot be.
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { StoreError } from '../registry/ports/store-error.ts'
import { RESTORING } from '../store/filesystem/layout.ts'

/** Nobody's but the server's user. */
const MODE = 0o700

const WHY: Readonly<Record<string, string>> = {
  EEXIST: 'something else has that name',
  ENOENT: 'what is to hold it is not there',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'that file system is read-only',
  ENOSPC: 'that file system is full',
}

/** @throws StoreError io, with a hint, when it is no directory and cannot be made */
export function makeDataDirectory(path: string): void {
  try {
    // One by one: asked to make them all, node tries for ever where a parent takes none, as /proc
    // does.
    for (const directory of missing(resolve(path))) make(directory)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const why = `${WHY[code] ?? 'the system refuses'} (${code})`
    throw new StoreError(
      'io',
      `storage.rootdirectory is ${path}, which cannot be made a directory: ${why}`,
      {
        hint: 'let it name a directory that the user who runs the server may write to; is its disk mounted?',
        cause: error,
      },
    )
  }
}

/**
 * What a restore that was cut off has left is not all of an edge: one that started on it would take
 * the rest for deleted. @throws StoreError io, with a hint, where that is there
 */
export function assertNotHalfRestored(path: string): void {
  if (!existsSync(join(path, RESTORING))) return
  throw new StoreError('io', `a restore into ${path} is under way, or was cut off`, {
    hint: 'run the same "entrepot restore" again, which begins anew; or empty the directory, to start without the backup',
  })
}

/** Those that are not there, the outermost first. */
function missing(path: string): readonly string[] {
  return isDirectory(path) ? [] : [...missing(dirname(path)), path]
}

function make(directory: string): void {
  try {
    mkdirSync(directory, MODE)
  } catch (error) {
    // Another process made it meanwhile: which of them may have it is the lock's to say.
    if (isDirectory(directory)) return
    throw error
  }
  sync(dirname(directory))
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/**
 * So that the names in it outlast a power cut, as what is kept below them does. Not where they may
 * be made and not read.
 */
function sync(directory: string): void {
  if (!isReadable(directory)) return
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function isReadable(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK)
    return true
  } catch {
    return false
  }
}
