// Opens the part of a digest for writing: a new one, or what an earlier fill left.
import type { FileHandle } from 'node:fs/promises'
import { type Digest, digestAlgorithm, startDigest } from '../../../oci/digest.ts'
import { type Disk, orStoreError, removeFile } from '../disk.ts'
import { errnoOf } from '../disk-error.ts'
import type { OpenedPart } from './fill-file.ts'
import { partPath, sidecarPath } from '../layout.ts'
import { createGrowingFile, cutAndHash, reopenFile } from './reopen-file.ts'
import { readSidecar, usableBytes } from './sidecar.ts'

/**
 * `isLeft`: an earlier fill may have left something. Otherwise a new file is all there is to do,
 * while clients wait for its first bytes.
 * @throws StoreError full, io. The caller sees to it that there is one at a time per digest.
 */
export async function openPart(disk: Disk, digest: Digest, isLeft: boolean): Promise<OpenedPart> {
  return await orStoreError(disk, `open the part of ${digest}`, async () => {
    const path = partPath(disk.layout, digest)
    const created = isLeft ? undefined : await createUnlessThere(path)
    if (created !== undefined) return emptyPart(digest, created)
    const left = await reopenFile(path)
    if (left === undefined) {
      await removeFile(sidecarPath(disk.layout, digest))
      return emptyPart(digest, await createGrowingFile(path))
    }
    try {
      return await resume(disk, digest, left)
    } catch (error) {
      await left.close()
      throw error
    }
  })
}

/** Undefined when something stands under the name that nobody knows of. */
async function createUnlessThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await createGrowingFile(path)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return undefined
    throw error
  }
}

function emptyPart(digest: Digest, file: FileHandle): OpenedPart {
  const hash = startDigest(digestAlgorithm(digest))
  return { digest, file, hash, lengthBytes: 0, syncedBytes: 0, expected: undefined }
}

async function resume(disk: Disk, digest: Digest, file: FileHandle): Promise<OpenedPart> {
  const { size } = await file.stat()
  const sidecar = await readSidecar(disk, digest)
  const lengthBytes = usableBytes(disk, sidecar, size)
  const hash = await cutAndHash(file, lengthBytes, digestAlgorithm(digest))
  if (sidecar === undefined || lengthBytes === 0) {
    await removeFile(sidecarPath(disk.layout, digest))
    return emptyPart(digest, file)
  }
  const syncedBytes = Math.min(sidecar.syncedBytes, lengthBytes)
  return { digest, file, hash, lengthBytes, syncedBytes, expected: sidecar.expected }
}
