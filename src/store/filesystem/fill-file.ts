// A blob on its way to disk: one part file that only grows, hashed as it grows, and its sidecar. Opening and
// resuming a part is open-fill.ts; the last steps of publication are publish.ts. Who reads it, and from which upstream the bytes
// come, is not known here.
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { type Digest, digestAlgorithm, finishDigest, startDigest } from '../../oci/digest.ts'
import {
  type ContentClass,
  type FillExpectation,
  type FillFile,
  type ReadHandle,
  StoreError,
  type StoredBlob,
} from '../../registry/ports/blob-store.ts'
import { attempt, type Disk, removeFile, writeSome } from './disk.ts'
import { partPath } from './layout.ts'
import { PartRecord } from './part-record.ts'
import { publish } from './publish.ts'
import { openRegularFile, readHandle } from './read-handle.ts'
import type { Turns } from './turns.ts'
import { WriteBuffer } from './write-buffer.ts'

/**
 * How much of a part may be lost in a power cut. Syncing on the way also keeps the fsync before the rename short. Often enough
 * for a link of 10 Mbit/s to lose less than a minute, rare enough not to be felt.
 */
export const CHECKPOINT_BYTES = 64 * 1024 * 1024

/** What openFill found out; ownership of `file` goes to the fill. */
export interface OpenedPart {
  readonly digest: Digest
  readonly file: FileHandle
  /** Already fed with the bytes of the part. */
  readonly hash: Hash
  readonly lengthBytes: number
  readonly syncedBytes: number
  readonly expected: FillExpectation | undefined
}

export interface FillContext {
  readonly disk: Disk
  readonly turns: Turns
  readonly grown: (() => void) | undefined
  /** Called once, when the part is closed: the next fill of this digest may be opened. */
  readonly ended: () => void
}

export class FilesystemFill implements FillFile {
  readonly digest: Digest
  readonly #context: FillContext
  readonly #file: FileHandle
  readonly #path: string
  readonly #buffer: WriteBuffer
  readonly #record: PartRecord
  #hash: Hash
  #hashedBytes: number
  #contiguousBytes: number
  #verifiedBytes: number | undefined
  #checkpoint: Promise<void> | undefined
  /** Set when an fsync or a truncation failed: nothing that the file holds can be believed any more. */
  #broken: unknown
  readonly #opening = new Set<Promise<unknown>>()
  #open = true

  constructor(part: OpenedPart, context: FillContext) {
    this.digest = part.digest
    this.#context = context
    this.#file = part.file
    this.#path = partPath(context.disk.layout, part.digest)
    this.#buffer = new WriteBuffer(bytes => this.#writeNext(bytes))
    this.#record = new PartRecord(context.disk, part.digest, part)
    this.#hash = part.hash
    this.#hashedBytes = part.lengthBytes
    this.#contiguousBytes = part.lengthBytes
  }

  get contiguousBytes(): number {
    return this.#contiguousBytes
  }

  get expected(): FillExpectation | undefined {
    return this.#record.expected
  }

  async expect(expectation: FillExpectation): Promise<void> {
    this.#mustBeOpen()
    this.#record.expected = expectation
    await this.#record.write(false)
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#mustBeOpen()
    this.#throwIfBroken()
    this.#hash.update(chunk)
    this.#hashedBytes += chunk.length
    this.#verifiedBytes = undefined
    if (this.#context.grown === undefined) await this.#buffer.write(chunk)
    else await this.#buffer.add(chunk)
  }

  async flush(): Promise<void> {
    this.#mustBeOpen()
    await this.#buffer.flush()
    this.#throwIfBroken()
  }

  async restart(): Promise<void> {
    this.#mustBeOpen()
    await this.#buffer.reset()
    await this.#settle()
    this.#throwIfBroken()
    const { disk } = this.#context
    try {
      await attempt(disk, `empty the part of ${this.digest}`, async () => {
        await this.#record.remove()
        await this.#file.truncate(0)
      })
    } catch (error) {
      this.#broken = error
      throw error
    }
    this.#hash = startDigest(digestAlgorithm(this.digest))
    this.#hashedBytes = 0
    this.#contiguousBytes = 0
    this.#verifiedBytes = undefined
  }

  verify(sizeBytes: number): void {
    this.#mustBeOpen()
    if (this.#hashedBytes !== sizeBytes) {
      const reason = `${this.digest}: ${this.#hashedBytes} bytes came, ${sizeBytes} were expected`
      throw new StoreError('corrupt', reason)
    }
    const found = finishDigest(this.#hash.copy(), digestAlgorithm(this.digest))
    if (found !== this.digest) {
      throw new StoreError('corrupt', `${this.digest}: the bytes that came hash to ${found}`)
    }
    this.#verifiedBytes = sizeBytes
  }

  async commit(contentClass: ContentClass): Promise<StoredBlob> {
    this.#mustBeOpen()
    const sizeBytes = this.#verifiedBytes
    if (sizeBytes === undefined) throw new Error(`commit of ${this.digest} without verify`)
    this.#open = false
    const { disk, turns } = this.#context
    try {
      await this.#buffer.flush()
      await this.#settle()
      this.#throwIfBroken()
    } catch (error) {
      await this.#remove()
      throw error
    }
    try {
      const { digest } = this
      const publication = { digest, file: this.#file, path: this.#path, sizeBytes, contentClass }
      return await publish(disk, turns, publication)
    } finally {
      // A sidecar that stays behind is swept at the next start, or overwritten by the next fill.
      await this.#record.remove().catch(() => {})
      this.#context.ended()
    }
  }

  async park(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    // A write that failed (the disk is full) leaves a prefix that is right; only a failed sync takes its worth from it.
    await this.#quiesce()
    if (this.#contiguousBytes === 0 || this.#broken !== undefined) return await this.#remove()
    try {
      await this.#sync()
      await this.#record.write(true)
      await attempt(this.#context.disk, `close ${this.#path}`, () => this.#file.close())
      this.#context.ended()
    } catch (error) {
      await this.#remove()
      throw error
    }
  }

  async discard(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#quiesce()
    await this.#remove()
  }

  async openRead(): Promise<ReadHandle> {
    this.#mustBeOpen()
    const { disk } = this.#context
    const opening = attempt(disk, `open ${this.#path}`, () => openRegularFile(this.#path))
    const settled = opening.then(
      () => {},
      () => {},
    )
    // Whatever ends this fill waits for it: a moment later the file has another name or none.
    this.#opening.add(settled)
    try {
      const opened = await opening
      if (opened === undefined) throw new StoreError('io', `${this.#path} has vanished`)
      return readHandle(disk, opened.file, this.#path)
    } finally {
      this.#opening.delete(settled)
    }
  }

  async #writeNext(bytes: Uint8Array): Promise<number> {
    this.#throwIfBroken()
    const { disk, grown } = this.#context
    const written = await attempt(disk, `write the part of ${this.digest}`, () =>
      writeSome(this.#file, bytes, this.#contiguousBytes),
    )
    this.#contiguousBytes += written
    const unsyncedBytes = this.#contiguousBytes - this.#record.syncedBytes
    // Not again when one failed while this was being written.
    if (unsyncedBytes >= CHECKPOINT_BYTES && this.#broken === undefined) {
      this.#checkpoint ??= this.#makeCheckpoint().finally(() => {
        this.#checkpoint = undefined
      })
    }
    grown?.()
    return written
  }

  /** Beside the writes; never rejects. */
  async #makeCheckpoint(): Promise<void> {
    try {
      await this.#sync()
      await this.#record.write(true)
    } catch {
      // Remembered by #sync; the next call throws it.
    }
  }

  async #sync(): Promise<void> {
    const reachedBytes = this.#contiguousBytes
    try {
      const doing = `sync the part of ${this.digest}`
      await attempt(this.#context.disk, doing, () => this.#file.datasync())
    } catch (error) {
      this.#broken = error
      throw error
    }
    this.#record.syncedBytes = reachedBytes
  }

  async #quiesce(): Promise<void> {
    await this.#buffer.flush().catch(() => {})
    await this.#settle()
  }

  /** Waits for everything beside the writes that uses the file or its name. */
  async #settle(): Promise<void> {
    await this.#checkpoint
    await this.#record.settled()
    await Promise.all(this.#opening)
  }

  async #remove(): Promise<void> {
    await this.#file.close().catch(() => {})
    // What cannot be removed is swept at the next start; a disk in that state shows itself elsewhere.
    await removeFile(this.#path).catch(() => {})
    await this.#record.remove().catch(() => {})
    this.#context.ended()
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Error(`the fill of ${this.digest} has ended`)
  }

  #throwIfBroken(): void {
    if (this.#broken !== undefined) throw this.#broken
  }
}
