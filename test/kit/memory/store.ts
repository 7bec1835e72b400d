// The in-memory twin of the file-system store: the same contract, no disk. For tests of whoever
// uses the port; what is particular to disks (modes, crash states, syncing) it does not have.
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  digestOf,
} from '../../../src/oci/digest.ts'
import type { BlobStore, Space } from '../../../src/registry/ports/blob-store.ts'
import {
  type ContentClass,
  type FindKnown,
  type Looked,
  type PassedOver,
  type ReadHandle,
  type Reread,
  type Rereader,
  type Rereading,
  type StoredBlob,
  UNKNOWN,
} from '../../../src/registry/ports/blob-store-content.ts'
import type { FillFile, LeftPart } from '../../../src/registry/ports/blob-store-fills.ts'
import type { LeftUpload, UploadFile } from '../../../src/registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type { Clock } from '../../../src/registry/ports/clock.ts'
import { freeBytes, full, type MemoryDisk, readFrom } from './disk.ts'
import { MemoryFill } from './fill.ts'
import { MemoryUpload } from './upload.ts'
import { newUploadId } from '../../../src/store/upload-id.ts'

/** Room for any test unless told otherwise. */
export const MEMORY_CAPACITY_BYTES = 1024 * 1024 * 1024

export function createMemoryDisk(capacityBytes: number = MEMORY_CAPACITY_BYTES): MemoryDisk {
  return { blobs: new Map(), parts: new Map(), uploads: new Map(), facts: new Map(), capacityBytes }
}

export interface MemoryStoreOptions {
  /** Says when an upload grew. Default: always at 0. */
  readonly clock?: Pick<Clock, 'nowMs'>
  /** Default: nothing is known of anything. */
  readonly known?: FindKnown
}

export function createMemoryStore(
  disk: MemoryDisk = createMemoryDisk(),
  options: MemoryStoreOptions = {},
): BlobStore {
  return new MemoryStore(disk, options)
}

class MemoryStore implements BlobStore {
  readonly #disk: MemoryDisk
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #known: FindKnown
  readonly #fills = new Set<Digest>()
  readonly #opening = new Set<Digest>()
  /** Ids of those that are open. */
  readonly #uploads = new Set<string>()

  constructor(disk: MemoryDisk, { clock, known }: MemoryStoreOptions) {
    this.#disk = disk
    this.#clock = clock ?? { nowMs: () => 0 }
    this.#known = known ?? (async () => undefined)
  }

  find(digest: Digest, declaredBytes?: number): Promise<StoredBlob | undefined> {
    return this.#find(digest, declaredBytes)
  }

  async look(digest: Digest, declaredBytes?: number): Promise<Looked> {
    if (this.#disk.isUnreadable) return UNKNOWN
    return (await this.#find(digest, declaredBytes)) ?? 'none'
  }

  async #find(digest: Digest, declaredBytes?: number): Promise<StoredBlob | undefined> {
    const bytes = await this.#undoubted(digest, declaredBytes)
    return bytes === undefined ? undefined : { digest, sizeBytes: bytes.length }
  }

  async openRead(
    digest: Digest,
    declaredBytes?: number,
  ): Promise<{ blob: StoredBlob; handle: ReadHandle } | undefined> {
    const bytes = await this.#undoubted(digest, declaredBytes)
    if (bytes === undefined) return undefined
    return { blob: { digest, sizeBytes: bytes.length }, handle: readFrom(() => bytes) }
  }

  async readVerified(digest: Digest): Promise<Uint8Array | undefined> {
    const bytes = this.#read(digest)
    if (bytes === undefined) return undefined
    if (digestOf(bytes, digestAlgorithm(digest)) === digest) return Uint8Array.from(bytes)
    this.#disk.blobs.delete(digest)
    return undefined
  }

  openRereader(): Rereader {
    return { reread: (digest, how) => this.#reread(digest, how), close: async () => {} }
  }

  async #reread(digest: Digest, { dryRun, between }: Rereading): Promise<Reread> {
    if (this.#disk.isUnreadable) return { found: 'unreadable', isMended: false }
    const bytes = this.#read(digest)
    if (bytes === undefined) return { found: 'none', isMended: false }
    await between(bytes.length)
    const isRight = digestOf(bytes, digestAlgorithm(digest)) === digest
    if (!isRight && !dryRun) this.#disk.blobs.delete(digest)
    return { found: isRight ? 'right' : 'wrong', isMended: false }
  }

  async put(digest: Digest, bytes: Uint8Array, _contentClass: ContentClass): Promise<StoredBlob> {
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
      throw new StoreError('corrupt', `the ${bytes.length} bytes given for ${digest} are others`)
    }
    const before = this.#disk.blobs.get(digest)?.length ?? 0
    if (bytes.length - before > freeBytes(this.#disk)) throw full()
    this.#disk.blobs.set(digest, Uint8Array.from(bytes))
    return { digest, sizeBytes: bytes.length }
  }

  async openFill(digest: Digest, grown?: () => void): Promise<FillFile> {
    if (this.#fills.has(digest)) throw new StoreError('busy', `another fill of ${digest} is open`)
    this.#fills.add(digest)
    this.#opening.add(digest)
    await Promise.resolve()
    const ended = () => this.#fills.delete(digest)
    const nowMs = () => this.#clock.nowMs()
    this.#opening.delete(digest)
    return new MemoryFill(this.#disk, digest, { nowMs, grown, ended })
  }

  mayResume(digest: Digest): boolean {
    return this.#disk.parts.has(digest)
  }

  async describeParts(): Promise<readonly LeftPart[]> {
    const left = [...this.#disk.parts].filter(([digest]) => !this.#fills.has(digest))
    return left.map(([digest, { bytes, expected, changedAtMs }]) => {
      return { digest, takenBytes: bytes.length, changedAtMs, source: expected?.source }
    })
  }

  get partsBytes(): number {
    let sum = 0
    for (const [digest, { bytes }] of this.#disk.parts)
      if (!this.#fills.has(digest) || this.#opening.has(digest)) sum += bytes.length
    return sum
  }

  /** Nothing rots here. */
  readonly quarantineBytes = 0

  async clearQuarantine(): Promise<void> {}

  /** Nor is there anything else. */
  readonly otherBytes = 0

  async measureOthers(): Promise<void> {}

  async removePart(digest: Digest): Promise<boolean> {
    return !this.#fills.has(digest) && this.#disk.parts.delete(digest)
  }

  async removeParts(olderThanMs: number): Promise<void> {
    const left = await this.describeParts()
    const old = left.filter(part => this.#clock.nowMs() - part.changedAtMs >= olderThanMs)
    for (const { digest } of old) this.#disk.parts.delete(digest)
  }

  async keep(digest: Digest): Promise<StoredBlob | undefined> {
    return await this.find(digest)
  }

  async createUpload(id: string, note: string, algorithm: DigestAlgorithm): Promise<UploadFile> {
    newUploadId(id, note)
    if (this.#disk.uploads.has(id)) throw new StoreError('busy', 'this upload is there already')
    const changedAtMs = this.#clock.nowMs()
    this.#disk.uploads.set(id, { note, algorithm, bytes: new Uint8Array(0), changedAtMs })
    return this.#upload(id)
  }

  async openUpload(id: string): Promise<UploadFile | undefined> {
    return this.#disk.uploads.has(id) ? this.#upload(id) : undefined
  }

  async listUploads(): Promise<readonly LeftUpload[]> {
    return [...this.#disk.uploads].map(([id, { note, bytes, changedAtMs }]) => {
      return { id, note, sizeBytes: bytes.length, changedAtMs }
    })
  }

  async dateUpload(id: string, changedAtMs: number): Promise<void> {
    const left = this.#disk.uploads.get(id)
    if (left !== undefined) left.changedAtMs = changedAtMs
  }

  async removeUpload(id: string): Promise<void> {
    if (this.#uploads.has(id)) throw new StoreError('busy', 'this upload is open')
    this.#disk.uploads.delete(id)
  }

  async remove(digest: Digest): Promise<void> {
    this.#disk.blobs.delete(digest)
  }

  async *list(passedOver: PassedOver = () => {}): AsyncGenerator<StoredBlob> {
    for (const [digest, { length }] of this.#disk.blobs)
      if (this.#disk.isUnreadable) passedOver(digest)
      else yield { digest, sizeBytes: length }
  }

  async space(): Promise<Space> {
    return { freeBytes: freeBytes(this.#disk), totalBytes: this.#disk.capacityBytes }
  }

  #read(digest: Digest): Uint8Array | undefined {
    return this.#disk.isUnreadable ? undefined : this.#disk.blobs.get(digest)
  }

  /** What there is, unless its length is in doubt and its bytes are wrong. */
  async #undoubted(digest: Digest, declaredBytes?: number): Promise<Uint8Array | undefined> {
    const bytes = this.#read(digest)
    if (bytes === undefined) return undefined
    const expectedBytes = (await this.#known(digest))?.sizeBytes ?? declaredBytes
    if (expectedBytes === undefined || expectedBytes === bytes.length) return bytes
    return this.readVerified(digest)
  }

  /** Of one that is on the disk. */
  #upload(id: string): UploadFile {
    const left = this.#disk.uploads.get(id)
    if (left === undefined) throw new Error('there is no such upload')
    if (this.#uploads.has(id)) throw new StoreError('busy', 'this upload is open')
    this.#uploads.add(id)
    const ended = () => this.#uploads.delete(id)
    return new MemoryUpload(id, left, { disk: this.#disk, nowMs: () => this.#clock.nowMs(), ended })
  }
}
