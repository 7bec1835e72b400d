// Makes the two files of an upload, and opens what was parked or what an earlier process left, cut
// back to what may be believed.
import { type DigestAlgorithm, startDigest } from '../../../oci/digest.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import type { UploadId } from '../../upload-id.ts'
import { type Disk, orStoreError, removeFile } from '../disk.ts'
import { errnoOf, isUnreadable } from '../disk-error.ts'
import { GrowthRecord } from './growth-record.ts'
import { uploadPath, uploadSidecarPath } from '../layout.ts'
import { createGrowingFile, cutAndHash, reopenFile } from './reopen-file.ts'
import { replaceFile } from '../small-file.ts'
import { AN_UPLOAD, type OpenedUpload } from './upload-file.ts'
import {
  believedBytes,
  formatUploadSidecar,
  readUploadSidecar,
  type UploadSidecar,
} from './upload-sidecar.ts'

type Kind = Pick<UploadSidecar, 'note' | 'algorithm'>

/**
 * Not synced: an upload without bytes may go in a power cut.
 * @throws StoreError busy when the id is taken; full, io
 */
export async function createUploadFiles(
  disk: Disk,
  id: UploadId,
  { note, algorithm }: { readonly note: string; readonly algorithm: DigestAlgorithm },
): Promise<OpenedUpload> {
  return await orStoreError(disk, `begin ${AN_UPLOAD}`, async () => {
    const path = uploadPath(disk.layout, id)
    const file = await createGrowingFile(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error
      throw new StoreError('busy', `${AN_UPLOAD} with this id is there already`)
    })
    const sidecar = { note, algorithm, bootId: disk.bootId, syncedBytes: 0 }
    try {
      // Not left to the record, for which a sidecar is a help: without this one there is no upload.
      const text = formatUploadSidecar(sidecar)
      await replaceFile(disk, uploadSidecarPath(disk.layout, id), { text, synced: false })
    } catch (error) {
      await file.close().catch(() => {})
      await removeFile(path).catch(() => {})
      throw error
    }
    const hash = startDigest(algorithm)
    const record = recordOf(disk, id, sidecar)
    return { id, note, algorithm, file, hash, lengthBytes: 0, record }
  })
}

/**
 * Undefined when there is none, or the disk cannot read it, which is told: its client begins anew.
 * @throws StoreError full, io. The caller sees to it that each is opened once at a time.
 */
export async function openLeftUpload(disk: Disk, id: UploadId): Promise<OpenedUpload | undefined> {
  return await orStoreError(disk, `open ${AN_UPLOAD}`, async () => {
    const sidecar = await readUploadSidecar(disk, id)
    if (sidecar === undefined) return undefined
    const left = await readTwice(disk, id, sidecar)
    if (left === undefined) return undefined
    const { note, algorithm } = sidecar
    const { file, lengthBytes } = left
    const syncedBytes = Math.min(sidecar.syncedBytes, lengthBytes)
    const record = recordOf(disk, id, { note, algorithm, syncedBytes })
    try {
      // From now on it is this boot that writes, and what it writes survives its process. Synced,
      // because it takes the place of one that was.
      if (sidecar.bootId !== disk.bootId) await record.write(true)
    } catch (error) {
      await file.close()
      throw error
    }
    return { id, note, algorithm, record, ...left }
  })
}

type Left = Pick<OpenedUpload, 'file' | 'hash' | 'lengthBytes'>

/** A disk may fail for a moment alone. @throws the system's error */
async function readTwice(
  disk: Disk,
  id: UploadId,
  sidecar: UploadSidecar,
): Promise<Left | undefined> {
  try {
    return await readLeft(disk, id, sidecar)
  } catch (error) {
    if (!isUnreadable(error)) throw error
  }
  try {
    return await readLeft(disk, id, sidecar)
  } catch (error) {
    if (!isUnreadable(error)) throw error
    disk.unreadable.tell(uploadPath(disk.layout, id), error)
    return undefined
  }
}

async function readLeft(
  disk: Disk,
  id: UploadId,
  sidecar: UploadSidecar,
): Promise<Left | undefined> {
  const file = await reopenFile(uploadPath(disk.layout, id))
  if (file === undefined) return undefined
  try {
    const lengthBytes = believedBytes(disk, sidecar, (await file.stat()).size)
    const hash = await cutAndHash(file, lengthBytes, sidecar.algorithm)
    return { file, hash, lengthBytes }
  } catch (error) {
    await file.close()
    throw error
  }
}

function recordOf(
  disk: Disk,
  id: UploadId,
  { note, algorithm, syncedBytes }: Kind & { readonly syncedBytes: number },
): GrowthRecord {
  const { bootId } = disk
  return new GrowthRecord(disk, {
    path: uploadSidecarPath(disk.layout, id),
    syncedBytes,
    format: synced => formatUploadSidecar({ note, algorithm, bootId, syncedBytes: synced }),
  })
}
