// An upload of the in-memory twin: bytes that grow in memory and become a blob.
import type { Hash } from 'node:crypto'
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  finishDigest,
  startDigest,
} from '../../../src/oci/digest.ts'
import type {
  ContentClass,
  ReadHandle,
  StoredBlob,
} from '../../../src/registry/ports/blob-store-content.ts'
import type { UploadFile } from '../../../src/registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import {
  extended,
  freeBytes,
  full,
  type MemoryDisk,
  type MemoryLeftUpload,
  readFrom,
} from './disk.ts'

export interface MemoryUploadContext {
  readonly disk: MemoryDisk
  readonly nowMs: () => number
  /** Called once: another may be opened. */
  readonly ended: () => void
}

export class MemoryUpload implements UploadFile {
  readonly id: string
  readonly #context: MemoryUploadContext
  readonly #left: MemoryLeftUpload
  readonly #hash: Hash
  #verified: Digest | undefined
  /** Something found no room: nothing more is taken. */
  #lost = false
  #open = true

  /** `context.disk` has the upload. */
  constructor(id: string, left: MemoryLeftUpload, context: MemoryUploadContext) {
    this.id = id
    this.#context = context
    this.#left = left
    this.#hash = startDigest(left.algorithm).update(left.bytes)
  }

  get note(): string {
    return this.#left.note
  }

  get sizeBytes(): number {
    return this.#left.bytes.length
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#mustTakeMore()
    this.#verified = undefined
    const taken = chunk.subarray(0, freeBytes(this.#context.disk))
    this.#hash.update(taken)
    this.#left.bytes = extended(this.#left.bytes, taken)
    this.#left.changedAtMs = this.#context.nowMs()
    this.#lost = taken.length < chunk.length
    if (this.#lost) throw full()
  }

  async flush(): Promise<void> {
    this.#mustTakeMore()
  }

  async verify(digest: Digest): Promise<StoredBlob> {
    this.#mustTakeMore()
    const algorithm = digestAlgorithm(digest)
    const same = algorithm === this.#left.algorithm
    const found = same
      ? finishDigest(this.#hash.copy(), algorithm)
      : digestOf(this.#left.bytes, algorithm)
    if (found !== digest) {
      throw new StoreError('corrupt', `an upload hashes to ${found}, not to ${digest}`)
    }
    this.#verified = digest
    return { digest, sizeBytes: this.sizeBytes }
  }

  async commit(_contentClass: ContentClass): Promise<StoredBlob> {
    this.#mustTakeMore()
    const digest = this.#verified
    if (digest === undefined) throw new Error('commit of an upload without verify')
    const { bytes } = this.#left
    await this.discard()
    this.#context.disk.blobs.set(digest, bytes)
    return { digest, sizeBytes: bytes.length }
  }

  async park(): Promise<void> {
    this.#end()
  }

  async discard(): Promise<void> {
    if (this.#open) this.#context.disk.uploads.delete(this.id)
    this.#end()
  }

  async openRead(): Promise<ReadHandle> {
    this.#mustBeOpen()
    return readFrom(() => this.#left.bytes)
  }

  #end(): void {
    if (this.#open) this.#context.ended()
    this.#open = false
  }

  #mustTakeMore(): void {
    this.#mustBeOpen()
    if (this.#lost) throw full()
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Error('the upload has ended')
  }
}
