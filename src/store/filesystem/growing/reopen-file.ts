// Opens for writing a growing file that an earlier writer left, and cuts it back to what may be
// believed; the bytes are hashed again, for a running hash cannot be stored (R232).
import type { Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type DigestAlgorithm, startDigest } from '../../../oci/digest.ts'
import { removeFile } from '../disk.ts'
import { errnoOf } from '../disk-error.ts'
import { hashBytes } from '../hash-file.ts'
import { WRITING_MODE } from '../layout.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants
const EXISTING = O_RDWR | O_NOFOLLOW | O_NONBLOCK
const NEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW

/** @throws the system's error; EEXIST when there is something under `path` */
export async function createGrowingFile(path: string): Promise<FileHandle> {
  return await open(path, NEW, WRITING_MODE)
}

/**
 * The file if there is one; what else may stand under its name (a link, a pipe) is taken away.
 * @throws the system's error
 */
export async function reopenFile(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, EXISTING)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return undefined
    if (errno !== 'ELOOP' && errno !== 'ENXIO') throw error
    await removeFile(path)
    return undefined
  }
  try {
    const stats = await file.stat()
    if (stats.isFile()) return file
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  await removeFile(path)
  return undefined
}

/**
 * Cuts `file` back to `lengthBytes`; a hash that has been fed with them.
 * @throws the system's error
 */
export async function cutAndHash(
  file: FileHandle,
  lengthBytes: number,
  algorithm: DigestAlgorithm,
): Promise<Hash> {
  // Also where the length stays: what lies beyond it must not be taken for content later.
  await file.truncate(lengthBytes)
  const hash = startDigest(algorithm)
  await hashBytes(hash, file, lengthBytes)
  return hash
}
