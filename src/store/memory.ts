// The in-memory twin of the file-system store: the same contract, no disk. For tests of whoever uses the port; what is
// particular to disks (modes, crash states, syncing) it does not have.
import type { Hash } from 'node:crypto'
import { type Digest, digestAlgorithm, digestOf, finishDigest, startDigest } from '../oci/digest.ts'
import {
  type BlobStore,
  type ContentClass,
  type FillExpectation,
  type FillFile,
  type ReadHandle,
  type Space,
  StoreError,
  type StoredBlob,
} from '../registry/ports/blob-store.ts'

/** What outlives a store, as files outlive a process; tests may damage it, and give it to a second store. */
export interface MemoryDisk {
  readonly blobs: Map<Digest, Uint8Array>
  readonly parts: Map<Digest, MemoryPart>
  /** Appending or putting beyond this is `full`. May be changed at any time. */
  capacityBytes: number
}

interface MemoryPart {
  bytes: Uint8Array
  expected: FillExpectation | undefined
}

/** Room for any test unless told otherwise. */
export const MEMORY_CAPACITY_BYTES = 1024 * 1024 * 1024

export function createMemoryDisk(capacityBytes: number = MEMORY_CAPACITY_BYTES): MemoryDisk {
  return { blobs: new Map(), parts: new Map(), capacityBytes }
}

export function createMemoryStore(disk: MemoryDisk = createMemoryDisk()): BlobStore {
  return new MemoryStore(disk)
}

class MemoryStore implements BlobStore {
  readonly #disk: MemoryDisk
  readonly #fills = new Set<Digest>()

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  async find(digest: Digest): Promise<StoredBlob | undefined> {
    const bytes = this.#disk.blobs.get(digest)
    return bytes === undefined ? undefined : { digest, sizeBytes: bytes.length }
  }

  async openRead(digest: Digest): Promise<{ blob: StoredBlob; handle: ReadHandle } | undefined> {
    const bytes = this.#disk.blobs.get(digest)
    if (bytes === undefined) return undefined
    return { blob: { digest, sizeBytes: bytes.length }, handle: readFrom(() => bytes) }
  }

  async readVerified(digest: Digest): Promise<Uint8Array | undefined> {
    const bytes = this.#disk.blobs.get(digest)
    if (bytes === undefined) return undefined
    if (digestOf(bytes, digestAlgorithm(digest)) === digest) return Uint8Array.from(bytes)
    this.#disk.blobs.delete(digest)
    return undefined
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
    const ended = () => this.#fills.delete(digest)
    return new MemoryFill(this.#disk, digest, { grown, ended })
  }

  async listParts(): Promise<readonly Digest[]> {
    return [...this.#disk.parts.keys()].filter(digest => !this.#fills.has(digest))
  }

  async remove(digest: Digest): Promise<void> {
    this.#disk.blobs.delete(digest)
  }

  async *list(): AsyncGenerator<StoredBlob> {
    for (const [digest, bytes] of this.#disk.blobs) yield { digest, sizeBytes: bytes.length }
  }

  async space(): Promise<Space> {
    return { freeBytes: freeBytes(this.#disk), totalBytes: this.#disk.capacityBytes }
  }
}

class MemoryFill implements FillFile {
  readonly digest: Digest
  readonly #disk: MemoryDisk
  readonly #context: { readonly grown: (() => void) | undefined; readonly ended: () => void }
  readonly #part: MemoryPart
  #hash: Hash
  #verified = false
  /** Bytes that found no room: after the first nothing more is taken. */
  #lostBytes = 0
  #open = true

  constructor(
    disk: MemoryDisk,
    digest: Digest,
    context: { readonly grown: (() => void) | undefined; readonly ended: () => void },
  ) {
    this.digest = digest
    this.#disk = disk
    this.#context = context
    this.#part = disk.parts.get(digest) ?? { bytes: new Uint8Array(0), expected: undefined }
    disk.parts.set(digest, this.#part)
    this.#hash = startDigest(digestAlgorithm(digest)).update(this.#part.bytes)
  }

  get contiguousBytes(): number {
    return this.#part.bytes.length
  }

  get expected(): FillExpectation | undefined {
    return this.#part.expected
  }

  async expect(expectation: FillExpectation): Promise<void> {
    this.#mustBeOpen()
    this.#part.expected = expectation
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#mustBeOpen()
    if (this.#lostBytes > 0) throw full()
    this.#hash.update(chunk)
    this.#verified = false
    const taken = Math.min(chunk.length, freeBytes(this.#disk))
    this.#part.bytes = extended(this.#part.bytes, chunk.subarray(0, taken))
    this.#lostBytes = chunk.length - taken
    if (taken > 0) this.#context.grown?.()
    if (this.#lostBytes > 0) throw full()
  }

  async flush(): Promise<void> {
    this.#mustBeOpen()
    if (this.#lostBytes > 0) throw full()
  }

  async restart(): Promise<void> {
    this.#mustBeOpen()
    this.#part.bytes = new Uint8Array(0)
    this.#part.expected = undefined
    this.#lostBytes = 0
    this.#verified = false
    this.#hash = startDigest(digestAlgorithm(this.digest))
  }

  verify(sizeBytes: number): void {
    this.#mustBeOpen()
    const cameBytes = this.contiguousBytes + this.#lostBytes
    if (cameBytes !== sizeBytes) {
      throw new StoreError('corrupt', `${this.digest}: ${cameBytes} bytes instead of ${sizeBytes}`)
    }
    if (finishDigest(this.#hash.copy(), digestAlgorithm(this.digest)) !== this.digest) {
      throw new StoreError('corrupt', `${this.digest}: the bytes that came are others`)
    }
    this.#verified = true
  }

  async commit(_contentClass: ContentClass): Promise<StoredBlob> {
    this.#mustBeOpen()
    if (!this.#verified) throw new Error(`commit of ${this.digest} without verify`)
    const { bytes } = this.#part
    await this.discard()
    if (this.#lostBytes > 0) throw full()
    this.#disk.blobs.set(this.digest, bytes)
    return { digest: this.digest, sizeBytes: bytes.length }
  }

  async park(): Promise<void> {
    if (this.contiguousBytes === 0) return await this.discard()
    this.#end()
  }

  async discard(): Promise<void> {
    if (this.#open) this.#disk.parts.delete(this.digest)
    this.#end()
  }

  async openRead(): Promise<ReadHandle> {
    this.#mustBeOpen()
    return readFrom(() => this.#part.bytes)
  }

  #end(): void {
    if (this.#open) this.#context.ended()
    this.#open = false
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Error(`the fill of ${this.digest} has ended`)
  }
}

function freeBytes({ blobs, parts, capacityBytes }: MemoryDisk): number {
  let used = 0
  for (const bytes of blobs.values()) used += bytes.length
  for (const part of parts.values()) used += part.bytes.length
  return Math.max(0, capacityBytes - used)
}

/** `bytes` with `more` behind them; in the same memory when there is room, so that growing costs no more than its bytes. */
function extended(bytes: Uint8Array, more: Uint8Array): Uint8Array {
  const length = bytes.length + more.length
  let grown = bytes
  if (bytes.byteOffset + length > bytes.buffer.byteLength) {
    grown = new Uint8Array(length * 2)
    grown.set(bytes)
  }
  const whole = new Uint8Array(grown.buffer, grown.byteOffset, length)
  whole.set(more, bytes.length)
  return whole
}

function full(): StoreError {
  return new StoreError('full', 'the memory store is full', { hint: 'raise capacityBytes' })
}

function readFrom(bytes: () => Uint8Array): ReadHandle {
  return {
    file: undefined,
    async read(buffer, position) {
      const part = bytes().subarray(position, position + buffer.length)
      buffer.set(part)
      return part.length
    },
    async close() {},
  }
}
