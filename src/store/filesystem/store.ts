// BlobStore on one local file system; docs/storage-format.md says what lies where and in which order it is written.
// Puts the pieces of this folder together and holds the only state: which fills are open.
import { open, readdir, statfs } from 'node:fs/promises'
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  finishDigest,
  startDigest,
} from '../../oci/digest.ts'
import {
  type BlobStore,
  type ContentClass,
  type FillFile,
  type ReadHandle,
  type Space,
  StoreError,
  type StoredBlob,
} from '../../registry/ports/blob-store.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent } from '../../registry/ports/events.ts'
import { attempt, type Disk, readFully, removeFile, writeFully } from './disk.ts'
import { diskError } from './disk-error.ts'
import { FilesystemFill } from './fill-file.ts'
import { hashBytes } from './hash-file.ts'
import { blobPath, fillEntry, layoutUnder, temporaryPath, WRITING_MODE } from './layout.ts'
import { findBlob, listBlobs } from './list-blobs.ts'
import { openPart } from './open-fill.ts'
import { prepareDirectories, prepareRoot, sweepFills, sweepTemporary } from './prepare.ts'
import { publish } from './publish.ts'
import { quarantine } from './quarantine.ts'
import { type OpenedFile, openRegularFile, readHandle } from './read-handle.ts'
import { Turns } from './turns.ts'

/** Of one readVerified. Manifests are at most 4 MiB; whoever wants more reads by position. */
const READ_WHOLE_LIMIT_BYTES = 64 * 1024 * 1024

export interface FilesystemStoreOptions {
  /** `storage.rootdirectory`; made when it is not there. Only one process may use it: the caller holds the lock. */
  readonly directory: string
  readonly note: NoteEvent
  /** Of this boot of the machine, from `/proc/sys/kernel/random/boot_id`. */
  readonly bootId: string
  readonly clock: Clock
}

/** Prepares the directory and sweeps what an earlier process left. @throws StoreError io, full */
export async function openFilesystemStore(options: FilesystemStoreOptions): Promise<BlobStore> {
  const { directory, ...rest } = options
  try {
    const disk: Disk = { ...rest, layout: layoutUnder(await prepareRoot(directory)) }
    await prepareDirectories(disk.layout)
    await sweepTemporary(disk.layout)
    await sweepFills(disk)
    return new FilesystemStore(disk)
  } catch (error) {
    throw diskError(error, { doing: `prepare ${directory}`, root: directory })
  }
}

class FilesystemStore implements BlobStore {
  readonly #disk: Disk
  readonly #turns = new Turns()
  readonly #fills = new Set<Digest>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  async find(digest: Digest): Promise<StoredBlob | undefined> {
    return await attempt(this.#disk, `look for ${digest}`, () =>
      findBlob(this.#disk.layout, digest),
    )
  }

  async openRead(digest: Digest): Promise<{ blob: StoredBlob; handle: ReadHandle } | undefined> {
    const opened = await this.#openBlob(digest)
    if (opened === undefined) return undefined
    const { file, sizeBytes } = opened
    const handle = readHandle(this.#disk, file, blobPath(this.#disk.layout, digest))
    return { blob: { digest, sizeBytes }, handle }
  }

  async readVerified(digest: Digest): Promise<Uint8Array | undefined> {
    const opened = await this.#openBlob(digest)
    if (opened === undefined) return undefined
    try {
      const bytes = await attempt(this.#disk, `read ${digest}`, () => readIfRight(opened, digest))
      if (bytes !== undefined) return bytes
      await quarantine(this.#disk, this.#turns, { digest, identity: opened.identity })
      return undefined
    } finally {
      await opened.file.close()
    }
  }

  async put(digest: Digest, bytes: Uint8Array, contentClass: ContentClass): Promise<StoredBlob> {
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
      throw new StoreError('corrupt', `the ${bytes.length} bytes given for ${digest} are others`)
    }
    const path = temporaryPath(this.#disk.layout)
    const file = await attempt(this.#disk, `store ${digest}`, async () => {
      const created = await open(path, 'wx', WRITING_MODE)
      try {
        await writeFully(created, bytes)
        return created
      } catch (error) {
        await created.close().catch(() => {})
        await removeFile(path).catch(() => {})
        throw error
      }
    })
    const sizeBytes = bytes.length
    return await publish(this.#disk, this.#turns, { digest, file, path, sizeBytes, contentClass })
  }

  async openFill(digest: Digest, grown?: () => void): Promise<FillFile> {
    if (this.#fills.has(digest)) {
      throw new StoreError('busy', `another fill of ${digest} is open`)
    }
    this.#fills.add(digest)
    const ended = () => this.#fills.delete(digest)
    try {
      const part = await openPart(this.#disk, digest)
      return new FilesystemFill(part, { disk: this.#disk, turns: this.#turns, grown, ended })
    } catch (error) {
      ended()
      throw error
    }
  }

  async listParts(): Promise<readonly Digest[]> {
    const names = await attempt(this.#disk, 'list the parts', () =>
      readdir(this.#disk.layout.fills),
    )
    const entries = names.map(fillEntry).filter(entry => entry !== undefined)
    const parts = entries.filter(entry => entry.kind === 'part').map(entry => entry.digest)
    return parts.filter(digest => !this.#fills.has(digest))
  }

  async remove(digest: Digest): Promise<void> {
    await attempt(this.#disk, `remove ${digest}`, () =>
      removeFile(blobPath(this.#disk.layout, digest)),
    )
  }

  async *list(): AsyncGenerator<StoredBlob> {
    const { layout } = this.#disk
    try {
      yield* listBlobs(layout)
    } catch (error) {
      throw diskError(error, { doing: 'list the blobs', root: layout.root })
    }
  }

  async space(): Promise<Space> {
    const { blobs } = this.#disk.layout
    const { bavail, blocks, bsize } = await attempt(this.#disk, 'ask for free space', () =>
      statfs(blobs),
    )
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  }

  async #openBlob(digest: Digest): Promise<OpenedFile | undefined> {
    const path = blobPath(this.#disk.layout, digest)
    return await attempt(this.#disk, `open ${digest}`, () => openRegularFile(path))
  }
}

/** All bytes, or undefined when they are not those of `digest`. What is larger than any content read whole is only hashed. */
async function readIfRight(opened: OpenedFile, digest: Digest): Promise<Uint8Array | undefined> {
  const { file, sizeBytes } = opened
  const algorithm = digestAlgorithm(digest)
  if (sizeBytes > READ_WHOLE_LIMIT_BYTES) {
    const hash = startDigest(algorithm)
    await hashBytes(hash, file, sizeBytes)
    if (finishDigest(hash, algorithm) !== digest) return undefined
    throw new StoreError('io', `${digest} has ${sizeBytes} bytes: too many to read whole`)
  }
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  const length = await readFully(file, bytes, 0)
  return digestOf(bytes.subarray(0, length), algorithm) === digest ? bytes : undefined
}
