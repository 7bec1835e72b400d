// An upload: a growing file, hashed as it grows, whose digest is told at its end (R101, R105).
// Opening one, new or left, is open-upload.ts. Which repository it is for is in the note, which is
// not read here.
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  finishDigest,
  startDigest,
} from '../../../oci/digest.ts'
import type {
  ContentClass,
  ReadHandle,
  StoredBlob,
} from '../../../registry/ports/blob-store-content.ts'
import type { UploadFile } from '../../../registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import type { UploadId } from '../../upload-id.ts'
import type { Disk } from '../disk.ts'
import { GrowingFile } from './growing-file.ts'
import type { GrowthRecord } from './growth-record.ts'
import { hashBytes } from '../hash-file.ts'
import { uploadPath } from '../layout.ts'
import type { Turns } from '../../../async/turns.ts'
import { GATHERED } from './write-buffer.ts'

/** In messages no upload has its id: whoever knows that may go on with it. */
export const AN_UPLOAD = 'an upload'

/** What open-upload.ts found or made; ownership of `file` goes to the upload. */
export interface OpenedUpload {
  readonly id: UploadId
  readonly note: string
  readonly algorithm: DigestAlgorithm
  readonly file: FileHandle
  /** Already fed with the bytes of the file. */
  readonly hash: Hash
  readonly lengthBytes: number
  readonly record: GrowthRecord
}

export interface UploadContext {
  readonly disk: Disk
  readonly turns: Turns
  /** Called once, when the file is closed: the upload may be opened again. */
  readonly ended: () => void
}

export class FilesystemUpload implements UploadFile {
  readonly id: string
  readonly note: string
  readonly #algorithm: DigestAlgorithm
  readonly #hash: Hash
  readonly #growing: GrowingFile
  #sizeBytes: number
  #verified: Digest | undefined

  constructor(opened: OpenedUpload, context: UploadContext) {
    const { id, note, algorithm, file, hash, lengthBytes, record } = opened
    this.id = id
    this.note = note
    this.#algorithm = algorithm
    this.#hash = hash
    this.#sizeBytes = lengthBytes
    this.#growing = new GrowingFile({
      ...context,
      file,
      path: uploadPath(context.disk.layout, id),
      what: AN_UPLOAD,
      lengthBytes,
      record,
      buffer: GATHERED,
      grown: undefined,
    })
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#growing.mustBeUsable()
    this.#verified = undefined
    // On this thread, while the write before it is under way on another.
    this.#hash.update(chunk)
    this.#sizeBytes += chunk.length
    await this.#growing.add(chunk)
  }

  async flush(): Promise<void> {
    await this.#growing.flush()
  }

  async verify(digest: Digest): Promise<StoredBlob> {
    this.#growing.mustBeUsable()
    const found = await this.#digestBy(digestAlgorithm(digest))
    if (found !== digest) {
      throw new StoreError('corrupt', `${AN_UPLOAD} hashes to ${found}, not to ${digest}`)
    }
    this.#verified = digest
    return { digest, sizeBytes: this.#sizeBytes }
  }

  async commit(contentClass: ContentClass): Promise<StoredBlob> {
    this.#growing.mustBeOpen()
    const digest = this.#verified
    if (digest === undefined) throw new Error('commit of an upload without verify')
    return await this.#growing.commit({ digest, sizeBytes: this.#sizeBytes }, contentClass)
  }

  async park(): Promise<void> {
    await this.#growing.park({ evenEmpty: true })
  }

  async discard(): Promise<void> {
    await this.#growing.discard()
    if (this.#growing.stays !== undefined) throw this.#growing.stays
  }

  async openRead(): Promise<ReadHandle> {
    return await this.#growing.openRead()
  }

  async #digestBy(algorithm: DigestAlgorithm): Promise<Digest> {
    if (algorithm === this.#algorithm) return finishDigest(this.#hash.copy(), algorithm)
    const hash = startDigest(algorithm)
    await this.#growing.reread((file, lengthBytes) => hashBytes(hash, file, lengthBytes))
    return finishDigest(hash, algorithm)
  }
}
