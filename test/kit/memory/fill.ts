// A fill of the in-memory twin: a part that grows in memory and becomes a blob. What was written
// ahead is taken in during a later turn, as the contract allows: who counts on more finds out here.
import type { Hash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Digest, digestAlgorithm, finishDigest, startDigest } from '../../../src/oci/digest.ts'
import type {
  ContentClass,
  ReadHandle,
  StoredBlob,
} from '../../../src/registry/ports/blob-store-content.ts'
import type { FillExpectation, FillFile } from '../../../src/registry/ports/blob-store-fills.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import {
  aheadBytes,
  extended,
  freeBytes,
  full,
  type MemoryDisk,
  type MemoryPart,
  readFrom,
} from './disk.ts'

export interface MemoryFillContext {
  readonly nowMs: () => number
  readonly grown: (() => void) | undefined
  readonly ended: () => void
}

export class MemoryFill implements FillFile {
  readonly digest: Digest
  readonly #disk: MemoryDisk
  readonly #context: MemoryFillContext
  readonly #part: MemoryPart
  readonly #hash: Hash
  #verified = false
  /** Bytes that found no room: after the first nothing more is taken. */
  #lostBytes = 0
  #takingIn: Promise<void> | undefined
  #open = true

  constructor(disk: MemoryDisk, digest: Digest, context: MemoryFillContext) {
    this.digest = digest
    this.#disk = disk
    this.#context = context
    this.#part = disk.parts.get(digest) ?? {
      bytes: new Uint8Array(0),
      ahead: new Map(),
      expected: undefined,
      changedAtMs: context.nowMs(),
    }
    this.#part.ahead.clear()
    disk.parts.set(digest, this.#part)
    this.#hash = startDigest(digestAlgorithm(digest)).update(this.#part.bytes)
  }

  get contiguousBytes(): number {
    return this.#part.bytes.length
  }

  get appendedBytes(): number {
    return this.contiguousBytes + this.#lostBytes
  }

  get aheadBytes(): number {
    return aheadBytes(this.#part)
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
    await this.#takingIn
    this.#mustBeOpen()
    if (this.#lostBytes > 0) throw full()
    this.#hash.update(chunk)
    this.#verified = false
    const taken = Math.min(chunk.length, freeBytes(this.#disk))
    this.#part.bytes = extended(this.#part.bytes, chunk.subarray(0, taken))
    this.#part.changedAtMs = this.#context.nowMs()
    this.#lostBytes = chunk.length - taken
    if (taken > 0) this.#context.grown?.()
    if (this.#lostBytes > 0) throw full()
    this.#closeGap()
  }

  async writeAhead(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#mustBeOpen()
    const { ahead } = this.#part
    if (position < this.appendedBytes) throw new Error(`${position} is there already`)
    this.#verified = false
    let at = position
    for (const chunk of chunks) {
      if (chunk.length > freeBytes(this.#disk)) throw full()
      if (chunk.length > 0) ahead.set(at, Uint8Array.from(chunk))
      at += chunk.length
    }
    this.#closeGap()
  }

  async forgetAhead(): Promise<void> {
    this.#mustBeOpen()
    this.#part.ahead.clear()
  }

  #closeGap(): void {
    if (this.#takingIn !== undefined || !this.#part.ahead.has(this.contiguousBytes)) return
    this.#takingIn = nextTurn().then(() => {
      this.#takingIn = undefined
      this.#takeIn()
    })
  }

  /** No effect once it has ended: the part may be another fill's by then. */
  #takeIn(): void {
    const { ahead } = this.#part
    while (this.#open) {
      const bytes = ahead.get(this.contiguousBytes)
      if (bytes === undefined) return
      ahead.delete(this.contiguousBytes)
      this.#hash.update(bytes)
      this.#part.bytes = extended(this.#part.bytes, bytes)
      this.#part.changedAtMs = this.#context.nowMs()
      this.#context.grown?.()
    }
  }

  async flush(): Promise<void> {
    this.#mustBeOpen()
    await this.#takingIn
    this.#mustBeOpen()
    if (this.#lostBytes > 0) throw full()
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
    await this.#takingIn
    if (this.contiguousBytes === 0) return await this.discard()
    this.#part.ahead.clear()
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
