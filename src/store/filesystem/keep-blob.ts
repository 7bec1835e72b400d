// Makes cached content kept: its file and its name are synced once more, for a client that is told
// that they are (docs/storage-format.md, "Write order").
import type { FileHandle } from 'node:fs/promises'
import type { Digest } from '../../oci/digest.ts'
import type { StoredBlob } from '../../registry/ports/blob-store-content.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import { type Disk, orStoreError, syncDirectory } from './disk.ts'
import { blobDirectory, blobPath } from './layout.ts'
import { type FileIdentity, isSameFile, openRegularFile } from './read-handle.ts'

export class BlobKeeper {
  readonly #disk: Disk
  /**
   * Files whose sync failed: one more would succeed without anything having been written, until new
   * bytes take their place. Without a bound: a forgotten one would be acknowledged.
   */
  readonly #failed = new Map<Digest, FileIdentity>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Undefined when the blob is not here. @throws StoreError io */
  async keep(digest: Digest): Promise<StoredBlob | undefined> {
    const { layout } = this.#disk
    const doing = `keep ${digest}`
    const opened = await orStoreError(this.#disk, doing, () =>
      openRegularFile(blobPath(layout, digest)),
    )
    if (opened === undefined) return undefined
    const { file, sizeBytes, identity } = opened
    try {
      this.#refuseFailed(digest, identity)
      await orStoreError(this.#disk, doing, () => this.#sync(file, digest, identity))
      return { digest, sizeBytes }
    } finally {
      await file.close().catch(() => {})
    }
  }

  async #sync(file: FileHandle, digest: Digest, identity: FileIdentity): Promise<void> {
    try {
      await file.sync()
      await syncDirectory(blobDirectory(this.#disk.layout, digest))
    } catch (error) {
      // What could not be opened (too many open files) was not synced in vain.
      const isSync = error instanceof Error && 'syscall' in error && error.syscall === 'fsync'
      if (isSync) this.#failed.set(digest, identity)
      throw error
    }
  }

  #refuseFailed(digest: Digest, identity: FileIdentity): void {
    const failed = this.#failed.get(digest)
    if (failed === undefined) return
    if (isSameFile(failed, identity)) {
      const hint = `see the kernel log (dmesg) for the disk that holds ${this.#disk.layout.root}`
      throw new StoreError('io', `cannot keep ${digest}: it could not be synced before`, { hint })
    }
    this.#failed.delete(digest)
  }
}
