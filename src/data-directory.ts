// storage.rootdirectory: made where it is not there, and told of by that key where it cannot be.
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { StoreError } from './registry/ports/blob-store.ts'

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
    // One by one: asked to make them all, node tries for ever where a parent takes none, as /proc does.
    for (const directory of missing(resolve(path))) {
      mkdirSync(directory, MODE)
      sync(dirname(directory))
    }
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

/** Those that are not there, the outermost first. */
function missing(path: string): readonly string[] {
  const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  return isThere ? [] : [...missing(dirname(path)), path]
}

/** So that its name outlasts a power cut, as what is kept in it does. */
function sync(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
