// What the file system that holds the blobs has free: bytes, and files where it counts them; and
// since when nothing can be written there. Found by looking alone: an idle edge writes nothing.
import { statfs } from 'node:fs/promises'
import type { Space, Unwritable } from '../../registry/ports/blob-store.ts'
import { type Disk, orStoreError } from './disk.ts'
import { lookIfReadOnly } from './read-only.ts'

/** What is given looks anew at each call. @throws StoreError io, when called */
export function lookAtSpace(disk: Disk): () => Promise<Space> {
  const { blobs } = disk.layout
  const isReadOnlyNow = lookIfReadOnly(blobs, disk.clock)
  let unwritable: Unwritable | undefined
  return async () => {
    const [found, isReadOnly] = await orStoreError(disk, 'ask for free space', () =>
      Promise.all([statfs(blobs), isReadOnlyNow()]),
    )
    const { bavail, blocks, bsize, ffree, files } = found
    // Some count none, as btrfs.
    const isOutOfFiles = files > 0 && ffree === 0
    const why = isReadOnly ? 'read-only' : bavail === 0 || isOutOfFiles ? 'full' : undefined
    if (why === undefined) unwritable = undefined
    else if (unwritable?.why !== why) unwritable = { why, sinceMs: disk.clock.nowMs() }
    return {
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
      ...(files === 0 ? {} : { files: { free: ffree, total: files } }),
      ...(unwritable === undefined ? {} : { unwritable }),
    }
  }
}
