// A file of this process alone, in a directory that nobody else writes to: written at once and
// whole, and after an error as it was, since what is told as failed would else be in force after a
// restart.
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectory } from '../sync-directory.ts'

/** Nobody's but its owner's. */
export const OWN_MODE = 0o600

/** @throws the system's errors; then the file is as it was */
export function writeWhole(path: string, text: string): void {
  const { beside } = namesOf(path)
  const descriptor = openSync(beside, 'w', OWN_MODE)
  try {
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  putInPlace(beside, path)
}

/**
 * Removes what a process has left of a file of its own that was killed as it wrote that: it may
 * hold what nobody is to have any more. Never throws: on a disk that is read only it stays.
 */
export function removeLeftovers(path: string): void {
  const { beside, before } = namesOf(path)
  for (const name of [beside, before])
    try {
      rmSync(name, { force: true })
    } catch {}
}

/** Of the next text of a file until it is in place, and of the last one until that is durable. */
function namesOf(path: string): { readonly beside: string; readonly before: string } {
  return { beside: `${path}.new`, before: `${path}.before` }
}

function putInPlace(beside: string, path: string): void {
  const { before } = namesOf(path)
  const putBack = keepAs(before, path)
  try {
    renameSync(beside, path)
    syncDirectory(dirname(path))
  } catch (error) {
    putBack()
    throw error
  } finally {
    // It may hold what nobody is to have any more.
    rmSync(before, { force: true })
  }
}

/** Gives the file as it is another name, to be had back by. */
function keepAs(before: string, path: string): () => void {
  try {
    rmSync(before, { force: true })
    linkSync(path, before)
    return () => renameSync(before, path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return () => rmSync(path, { force: true })
    // On a disk where a file has one name only, it stays as it was changed.
    return () => {}
  }
}
