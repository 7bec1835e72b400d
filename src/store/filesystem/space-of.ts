// What the file system that holds the blobs has free: bytes, and files where it counts them.
import { statfs } from 'node:fs/promises'
import type { Space } from '../../registry/ports/blob-store.ts'
import { type Disk, orStoreError } from './disk.ts'

/** @throws StoreError io */
export async function spaceOf(disk: Disk): Promise<Space> {
  const found = await orStoreError(disk, 'ask for free space', () => statfs(disk.layout.blobs))
  const { bavail, blocks, bsize, ffree, files } = found
  const space = { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  // Some count none, as btrfs.
  return files === 0 ? space : { ...space, files: { free: ffree, total: files } }
}
