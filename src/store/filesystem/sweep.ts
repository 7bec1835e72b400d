// What happens at every start once the directories are there: `tmp/` is emptied, and what in
// `fills/` and `uploads/` cannot be gone on with is removed. What the disk cannot read stays, since
// it may fail for a moment. Blobs and facts are not looked at: their number must not decide how
// long a start takes.
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { UploadId } from '../upload-id.ts'
import { eachFew } from '../../async/few-at-once.ts'
import { UNKNOWN } from '../../registry/ports/blob-store-content.ts'
import { PART_AGE_LIMIT_MS } from '../../registry/ports/blob-store-fills.ts'
import { EARLIEST_MS } from '../../registry/ports/clock.ts'
import { type Disk, FILES_AT_ONCE, removeFile } from './disk.ts'
import { ignoreMissing, isUnreadable } from './disk-error.ts'
import {
  fillEntry,
  partPath,
  sidecarPath,
  uploadEntry,
  uploadPath,
  uploadSidecarPath,
} from './layout.ts'
import { loadSidecar, usableBytes } from './growing/sidecar.ts'
import { loadUploadSidecar } from './growing/upload-sidecar.ts'

/** @throws the system's error */
export async function sweep(disk: Disk): Promise<void> {
  // No temporary file outlives the process that made it.
  await sweepDirectory(disk, disk.layout.temporary, () => Promise.resolve(false))
  await sweepDirectory(disk, disk.layout.fills, name => isPartOfUse(disk, name))
  const known = new Map<UploadId, Promise<boolean>>()
  await sweepDirectory(disk, disk.layout.uploads, name => isUploadOfUse(disk, name, known))
}

/**
 * Removes the files that are of no use, but for those that the disk cannot even look at.
 * Directories in there are not ours.
 */
async function sweepDirectory(
  disk: Disk,
  directory: string,
  isOfUse: (name: string) => Promise<boolean>,
): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true })
  const names = entries.filter(entry => !entry.isDirectory()).map(({ name }) => name)
  await eachFew(names, FILES_AT_ONCE, async name => {
    if (await isOfUse(name)) return
    try {
      await removeFile(join(directory, name))
    } catch (error) {
      if (!isUnreadable(error)) throw error
      disk.unreadable.tell(join(directory, name), error)
    }
  })
}

/** Asked of a part and of its sidecar alike: one is of no use without the other. */
async function isPartOfUse(disk: Disk, name: string): Promise<boolean> {
  const { layout, unreadable, clock } = disk
  const entry = fillEntry(name)
  if (entry === undefined) return false
  const { digest } = entry
  const path = partPath(layout, digest)
  const part = await unreadable.orUnknown(path, () => lstat(path).catch(ignoreMissing))
  if (part === UNKNOWN) return true
  if (!part?.isFile()) return false
  // What nobody's clock has dated is as old as this start (parts.ts).
  const isDated = part.mtimeMs >= EARLIEST_MS
  if (isDated && clock.nowMs() - part.mtimeMs > PART_AGE_LIMIT_MS) return false
  const look = () => loadSidecar(disk, digest)
  const sidecar = await unreadable.orUnknown(sidecarPath(layout, digest), look)
  return sidecar === UNKNOWN || usableBytes(disk, sidecar, part.size) > 0
}

/**
 * Also one without bytes: a client may have its id. How long it stays is for whoever asks
 * listUploads. `known`: by id.
 */
async function isUploadOfUse(
  disk: Disk,
  name: string,
  known: Map<UploadId, Promise<boolean>>,
): Promise<boolean> {
  const entry = uploadEntry(name)
  if (entry === undefined) return false
  const { id } = entry
  const asked = known.get(id) ?? isUploadWhole(disk, id)
  known.set(id, asked)
  return await asked
}

async function isUploadWhole(disk: Disk, id: UploadId): Promise<boolean> {
  const { layout, unreadable } = disk
  const path = uploadPath(layout, id)
  const file = await unreadable.orUnknown(path, () => lstat(path).catch(ignoreMissing))
  if (file === UNKNOWN) return true
  if (!file?.isFile()) return false
  const look = () => loadUploadSidecar(disk, id)
  return (await unreadable.orUnknown(uploadSidecarPath(layout, id), look)) !== undefined
}
