// A blob on its way to disk from an upstream: a growing file, hashed as it grows, whose digest is
// known from the start. Opening and resuming a part is open-fill.ts. Who reads it, and from which
// upstream the bytes come, is not known here.
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { type Digest, digestAlgorithm, finishDigest } from '../../../oci/digest.ts'
import type {
  ContentClass,
  ReadHandle,
  StoredBlob,
} from '../../../registry/ports/blob-store-content.ts'
import type { FillExpectation, FillFile } from '../../../registry/ports/blob-store-fills.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { AheadWrites } from './ahead-writes.ts'
import type { Disk } from '../disk.ts'
import { GrowingFile } from './growing-file.ts'
import { GrowthRecord } from './growth-record.ts'
import { partPath, sidecarPath } from '../layout.ts'
import { formatSidecar } from './sidecar.ts'
import type { Turns } from '../../../async/turns.ts'
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
  /**
   * Called once, when the part is closed: the next fill of this digest may be opened, and resumes
   * it when it is left.
   */
  readonly ended: (leftBytes: number | undefined) => void
}

export class FilesystemFill implements FillFile {
  readonly digest: Digest
  readonly #growing: GrowingFile
  readonly #record: GrowthRecord
  readonly #ahead: AheadWrites
  readonly #isGathered: boolean
  #expected: FillExpectation | undefined
  readonly #hash: Hash
  #hashedBytes: number
  #verifiedBytes: number | undefined
  #takingIn: Promise<void> | undefined
  #failed: { readonly error: unknown } | undefined

  constructor(part: OpenedPart, context: FillContext) {
    const { digest, file, lengthBytes, syncedBytes } = part
    const { layout, bootId } = context.disk
    this.digest = digest
    this.#expected = part.expected
    this.#record = new GrowthRecord(context.disk, {
      path: sidecarPath(layout, digest),
      syncedBytes,
      format: synced =>
        formatSidecar({
          expected: this.#expected ?? NOTHING_SAID,
          bootId,
          syncedBytes: synced,
          prefixBytes: this.#ahead.isSparse ? this.contiguousBytes : undefined,
        }),
    })
    const growing = { disk: context.disk, file, what: `the part of ${digest}` }
    this.#ahead = new AheadWrites({ ...growing, record: this.#record })
    this.#growing = new GrowingFile({
      ...context,
      ...growing,
      path: partPath(layout, digest),
      lengthBytes,
      record: this.#record,
      buffer: FOLLOWED,
      ahead: this.#ahead,
    })
    this.#isGathered = context.grown !== undefined
    this.#hash = part.hash
    this.#hashedBytes = lengthBytes
  }

  get contiguousBytes(): number {
    return this.#growing.contiguousBytes
  }

  get appendedBytes(): number {
    return this.#hashedBytes
  }

  get aheadBytes(): number {
    return this.#ahead.bytes
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
    this.#mustBeUsable()
    // At its end, when what it took in comes up to here.
    if (this.#takingIn !== undefined) await this.#takingIn
    this.#mustBeUsable()
    this.#hash.update(chunk)
    this.#hashedBytes += chunk.length
    this.#verifiedBytes = undefined
    await (this.#isGathered ? this.#growing.add(chunk) : this.#growing.write(chunk))
    this.#closeGap()
  }

  async writeAhead(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#mustBeUsable()
    if (position < this.#hashedBytes)
      throw new Error(`${this.digest}: ${position} is there already`)
    this.#verifiedBytes = undefined
    await this.#ahead.write(position, chunks)
    this.#closeGap()
  }

  async forgetAhead(): Promise<void> {
    this.#ahead.forget()
    await this.flush()
    await this.#growing.cut()
  }

  async flush(): Promise<void> {
    this.#mustBeUsable()
    await this.#growing.flush()
    await this.#takingIn
    this.#mustBeUsable()
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
    // What lay behind a gap that is closed counts once it is hashed.
    await this.#takingIn
    await this.#growing.park({ evenEmpty: false })
  }

  async discard(): Promise<void> {
    await this.#growing.discard()
  }

  async openRead(): Promise<ReadHandle> {
    return await this.#growing.openRead()
  }

  /** What was written ahead of a gap that is closed now is hashed, beside whatever else goes on. */
  #closeGap(): void {
    if (this.#takingIn !== undefined) return
    const end = this.#ahead.take(this.#hashedBytes)
    if (end !== undefined) this.#takingIn = this.#takeIn(end)
  }

  /** Never rejects: what went wrong is thrown by the next call. */
  async #takeIn(first: number): Promise<void> {
    try {
      for (let end: number | undefined = first; end !== undefined; ) {
        await this.#growing.takeIn(end, bytes => {
          this.#hash.update(bytes)
          this.#hashedBytes += bytes.length
        })
        end = this.#ahead.take(this.#hashedBytes)
      }
    } catch (error) {
      this.#failed = { error }
    } finally {
      // In the turn of the last look: what is written ahead after it begins another.
      this.#takingIn = undefined
    }
  }

  #mustBeUsable(): void {
    this.#growing.mustBeUsable()
    if (this.#failed !== undefined) throw this.#failed.error
  }
}
