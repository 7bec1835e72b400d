// Opens the part of a digest for writing: a new one, or what an earlier fill left, cut back to what may be believed and
// hashed again (a running hash cannot be stored: R232).
import type { Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type Digest, digestAlgorithm, startDigest } from '../../oci/digest.ts'
import { attempt, type Disk, removeFile } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import type { OpenedPart } from './fill-file.ts'
import { hashBytes } from './hash-file.ts'
import { partPath, sidecarPath, WRITING_MODE } from './layout.ts'
import { readSidecar, type Sidecar, usableBytes } from './sidecar.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants
const EXISTING = O_RDWR | O_NOFOLLOW | O_NONBLOCK
const NEW = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW

/** @throws StoreError full, io. The caller sees to it that there is one at a time per digest. */
export async function openPart(disk: Disk, digest: Digest): Promise<OpenedPart> {
  return await attempt(disk, `open the part of ${digest}`, async () => {
    const path = partPath(disk.layout, digest)
    const left = await openLeftPart(path)
    if (left === undefined) {
      await removeFile(sidecarPath(disk.layout, digest))
      return emptyPart(digest, await open(path, NEW, WRITING_MODE))
    }
    try {
      return await resume(disk, digest, left)
    } catch (error) {
      await left.close()
      throw error
    }
  })
}

/** The part file if there is one; what else may stand under its name (a link, a pipe) is taken away. */
async function openLeftPart(path: string): Promise<FileHandle | undefined> {
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

function emptyPart(digest: Digest, file: FileHandle): OpenedPart {
  const hash = startDigest(digestAlgorithm(digest))
  return { digest, file, hash, lengthBytes: 0, syncedBytes: 0, expected: undefined }
}

async function resume(disk: Disk, digest: Digest, file: FileHandle): Promise<OpenedPart> {
  const { size } = await file.stat()
  const sidecar = await readSidecar(disk, digest)
  const lengthBytes = usableBytes(disk, sidecar, size)
  // Also where the length stays: what lies beyond it must not be taken for content later.
  await file.truncate(lengthBytes)
  if (sidecar === undefined || lengthBytes === 0) {
    await removeFile(sidecarPath(disk.layout, digest))
    return emptyPart(digest, file)
  }
  return await hashed(digest, file, { sidecar, lengthBytes })
}

async function hashed(
  digest: Digest,
  file: FileHandle,
  { sidecar, lengthBytes }: { sidecar: Sidecar; lengthBytes: number },
): Promise<OpenedPart> {
  const hash: Hash = startDigest(digestAlgorithm(digest))
  await hashBytes(hash, file, lengthBytes)
  const syncedBytes = Math.min(sidecar.syncedBytes, lengthBytes)
  return { digest, file, hash, lengthBytes, syncedBytes, expected: sidecar.expected }
}
