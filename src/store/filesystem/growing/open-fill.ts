// Opens the part of a digest for writing: a new one, or what an earlier fill left.
import type { FileHandle } from 'node:fs/promises'
import { type Digest, digestAlgorithm, startDigest } from '../../../oci/digest.ts'
import type { BadPlaces } from '../bad-places.ts'
import { type Disk, orStoreError, removeFile } from '../disk.ts'
import { errnoOf, isUnreadable } from '../disk-error.ts'
import type { OpenedPart } from './fill-file.ts'
import { partPath, sidecarPath } from '../layout.ts'
import { createGrowingFile, cutAndHash, reopenFile } from './reopen-file.ts'
import { readSidecar, usableBytes } from './sidecar.ts'

export interface OpeningPart {
  /**
   * An earlier fill may have left something. Otherwise a new file is all there is to do, while
   * clients wait for its first bytes.
   */
  readonly isLeft: boolean
  /** For what the disk cannot read. */
  readonly bad: Pick<BadPlaces, 'takePart'>
}

/** @throws StoreError full, io. The caller sees to it that there is one at a time per digest. */
export async function openPart(
  disk: Disk,
  digest: Digest,
  { isLeft, bad }: OpeningPart,
): Promise<OpenedPart> {
  return await orStoreError(disk, `open the part of ${digest}`, async () => {
    const path = partPath(disk.layout, digest)
    const created = isLeft ? undefined : await createUnlessThere(path)
    if (created !== undefined) return emptyPart(digest, created)
    const left = await resume(disk, digest).catch(async (error: unknown) => {
      if (!isUnreadable(error)) throw error
      await bad.takePart(digest, error)
      return undefined
    })
    if (left !== undefined) return left
    await removeSidecar(disk, digest)
    return emptyPart(digest, await createGrowingFile(path))
  })
}

/** One that the disk cannot even look at stays, and says nothing. */
async function removeSidecar({ layout, unreadable }: Disk, digest: Digest): Promise<void> {
  const path = sidecarPath(layout, digest)
  try {
    await removeFile(path)
  } catch (error) {
    if (!isUnreadable(error)) throw error
    unreadable.tell(path, error)
  }
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

/** Undefined when there is none. @throws the system's error */
async function resume(disk: Disk, digest: Digest): Promise<OpenedPart | undefined> {
  const file = await reopenFile(partPath(disk.layout, digest))
  if (file === undefined) return undefined
  try {
    return await resumeFrom(disk, digest, file)
  } catch (error) {
    await file.close()
    throw error
  }
}

async function resumeFrom(disk: Disk, digest: Digest, file: FileHandle): Promise<OpenedPart> {
  const { size } = await file.stat()
  const sidecar = await readSidecar(disk, digest)
  const lengthBytes = usableBytes(disk, sidecar, size)
  const hash = await cutAndHash(file, lengthBytes, digestAlgorithm(digest))
  if (sidecar === undefined || lengthBytes === 0) {
    await removeSidecar(disk, digest)
    return emptyPart(digest, file)
  }
  const syncedBytes = Math.min(sidecar.syncedBytes, lengthBytes)
  return { digest, file, hash, lengthBytes, syncedBytes, expected: sidecar.expected }
}
