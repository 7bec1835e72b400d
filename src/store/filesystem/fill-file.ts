// A blob on its way to disk from an upstream: a growing file, hashed as it grows, whose digest is known from the start. Opening and
// resuming a part is open-fill.ts. Who reads it, and from which upstream the bytes come, is not known here.
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
import type { Disk } from './disk.ts'
import { GrowingFile } from './growing-file.ts'
import { GrowthRecord } from './growth-record.ts'
import { partPath, sidecarPath } from './layout.ts'
import { formatSidecar } from './sidecar.ts'
import type { Turns } from './turns.ts'
import { FOLLOWED } from './write-buffer.ts'

const NOTHING_SAID: FillExpectation = { sizeBytes: undefined, validator: undefined }

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
  readonly #growing: GrowingFile
  readonly #record: GrowthRecord
  readonly #isGathered: boolean
  #expected: FillExpectation | undefined
  #hash: Hash
  #hashedBytes: number
  #verifiedBytes: number | undefined

  constructor(part: OpenedPart, context: FillContext) {
    const { digest, file, lengthBytes, syncedBytes } = part
    const { layout, bootId } = context.disk
    this.digest = digest
    this.#expected = part.expected
    this.#record = new GrowthRecord(context.disk, {
      path: sidecarPath(layout, digest),
      syncedBytes,
      format: synced =>
        formatSidecar({ expected: this.#expected ?? NOTHING_SAID, bootId, syncedBytes: synced }),
    })
    this.#growing = new GrowingFile({
      ...context,
      file,
      path: partPath(layout, digest),
      what: `the part of ${digest}`,
      lengthBytes,
      record: this.#record,
      buffer: FOLLOWED,
    })
    this.#isGathered = context.grown !== undefined
    this.#hash = part.hash
    this.#hashedBytes = lengthBytes
  }

  get contiguousBytes(): number {
    return this.#growing.contiguousBytes
  }

  get expected(): FillExpectation | undefined {
    return this.#expected
  }

  async expect(expectation: FillExpectation): Promise<void> {
    this.#growing.mustBeOpen()
    this.#expected = expectation
    await this.#record.write(false)
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#growing.mustBeUsable()
    this.#hash.update(chunk)
    this.#hashedBytes += chunk.length
    this.#verifiedBytes = undefined
    await (this.#isGathered ? this.#growing.add(chunk) : this.#growing.write(chunk))
  }

  async flush(): Promise<void> {
    await this.#growing.flush()
  }

  async restart(): Promise<void> {
    await this.#growing.empty()
    this.#expected = undefined
    this.#hash = startDigest(digestAlgorithm(this.digest))
    this.#hashedBytes = 0
    this.#verifiedBytes = undefined
  }

  verify(sizeBytes: number): void {
    this.#growing.mustBeOpen()
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
    this.#growing.mustBeOpen()
    const { digest } = this
    const sizeBytes = this.#verifiedBytes
    if (sizeBytes === undefined) throw new Error(`commit of ${digest} without verify`)
    return await this.#growing.commit({ digest, sizeBytes }, contentClass)
  }

  async park(): Promise<void> {
    await this.#growing.park({ evenEmpty: false })
  }

  async discard(): Promise<void> {
    await this.#growing.discard()
  }

  async openRead(): Promise<ReadHandle> {
    return await this.#growing.openRead()
  }
}
