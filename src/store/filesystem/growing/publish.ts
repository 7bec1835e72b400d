// The last steps of the write protocol, for fills and for small content alike
// (docs/storage-format.md, "Write order"): size on disk → mode → fsync → close → rename → fsync of
// the directory when the content is to be kept.
import { rename } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { type Digest, digestAlgorithm } from '../../../oci/digest.ts'
import type { ContentClass, StoredBlob } from '../../../registry/ports/blob-store-content.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { type Disk, orStoreError, removeFile, syncDirectory } from '../disk.ts'
import { diskError } from '../disk-error.ts'
import { blobDirectory, blobPath, WHOLE_MODE } from '../layout.ts'
import type { Turns } from '../../../async/turns.ts'

export interface Publication {
  readonly digest: Digest
  /**
   * Open for writing; closed here, whatever happens. Its length and hash have been compared by the
   * caller.
   */
  readonly file: FileHandle
  /** Where it is now; belongs to this writer alone, and is gone afterwards, whatever happens. */
  readonly path: string
  readonly sizeBytes: number
  readonly contentClass: ContentClass
}

/**
 * @throws StoreError io, full (a file system may find out at fsync that it has no room); `isNamed`
 * when the new file is there
 */
export async function publish(
  disk: Disk,
  turns: Turns,
  publication: Publication,
): Promise<StoredBlob> {
  const { digest, path, sizeBytes, contentClass } = publication
  try {
    await makeWhole(disk, publication)
    await orStoreError(disk, `put ${digest} in its place`, () =>
      turns.take(digest, async () => {
        await disk.prefixes.ready(digestAlgorithm(digest))
        await rename(path, blobPath(disk.layout, digest))
      }),
    )
  } catch (error) {
    // The file is ours alone and of no use any more; that it cannot be removed says nothing that
    // `error` does not.
    await removeFile(path).catch(() => {})
    throw error
  }
  if (contentClass === 'kept') await syncName(disk, digest)
  return { digest, sizeBytes }
}

/** Whether the file may be taken away again is for those who know its row. */
async function syncName({ layout }: Disk, digest: Digest): Promise<void> {
  try {
    await syncDirectory(blobDirectory(layout, digest))
  } catch (error) {
    const doing = `sync the directory of ${digest}`
    const failed = diskError(error, { doing, root: layout.root })
    if (!(failed instanceof StoreError)) throw failed
    const { failure, message, hint } = failed
    throw new StoreError(failure, message, { hint, cause: error, isNamed: true })
  }
}

async function makeWhole(disk: Disk, publication: Publication): Promise<void> {
  const { digest, file, sizeBytes, contentClass } = publication
  const sync = () => orStoreError(disk, `sync ${digest}`, () => file.sync())
  try {
    const { size } = await orStoreError(disk, `look at ${digest}`, () => file.stat())
    if (size !== sizeBytes) {
      throw new StoreError('io', `${digest}: ${sizeBytes} bytes written, ${size} on disk`)
    }
    // Before the fsync, so that it is made durable by it; by descriptor, so that it cannot hit
    // another file.
    await orStoreError(disk, `seal ${digest}`, () => file.chmod(WHOLE_MODE))
    // Never tried again when it fails: the kernel may have dropped the pages, and would then report
    // success.
    await (contentClass === 'kept' ? sync() : disk.syncTurns.take(sync))
  } catch (error) {
    await file.close().catch(() => {})
    throw error
  }
  await orStoreError(disk, `close ${digest}`, () => file.close())
}
