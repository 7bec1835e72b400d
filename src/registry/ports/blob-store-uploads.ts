// The blob store's port to what clients send: files that grow before anybody knows their digest.
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import type { ContentClass, ReadHandle, StoredBlob } from './blob-store-content.ts'

/**
 * Bytes that a client sends before anybody knows their digest for certain: one file that only
 * grows, hashed as it grows (R99–R105). Calls of the writer MUST NOT overlap. What was flushed
 * survives the end of the process; what the system had synced, a power cut.
 */
export interface UploadFile {
  readonly id: string
  /** What createUpload was given. */
  readonly note: string
  /** All that was appended, in this process and earlier ones. */
  readonly sizeBytes: number
  /**
   * Appends all of `chunk`, which is not changed and not kept once this has resolved: by then it is
   * hashed and has room in a bounded buffer. A write that fails later is thrown by the next call.
   * @throws StoreError full, io
   */
  append(chunk: Uint8Array): Promise<void>
  /** Resolves when everything appended is in the file. @throws StoreError full, io */
  flush(): Promise<void>
  /**
   * Compares everything that was appended with `digest`; reads the file once more when it was
   * hashed by the other algorithm (R105). What follows is only commit, or more bytes.
   * @throws StoreError corrupt when it differs; full, io
   */
  verify(digest: Digest): Promise<StoredBlob>
  /**
   * After verify: flush, fsync, close, rename to the blob's name, and for `kept` fsync of the
   * directory. Never retries an fsync. A blob that is there already is replaced. A failed commit
   * discards.
   * @throws StoreError full, io
   */
  commit(contentClass: ContentClass): Promise<StoredBlob>
  /**
   * Closes the file and leaves it for a later openUpload. No effect when it has ended.
   * @throws StoreError io, full
   */
  park(): Promise<void>
  /**
   * Closes and removes it. No effect when it has ended.
   * @throws StoreError io where its file stays, also one that was to go when it ended
   */
  discard(): Promise<void>
  /** On the growing file, below `sizeBytes` once flushed; valid through commit and discard. */
  openRead(): Promise<ReadHandle>
}

/** An upload that lies on disk, open or not. */
export interface LeftUpload {
  readonly id: string
  /** Empty where the disk cannot read it for now: `openUpload` may tell it later. */
  readonly note: string
  /** 0 where the disk cannot say. */
  readonly sizeBytes: number
  /** Wall clock: when it last grew. */
  readonly changedAtMs: number
}

export interface UploadFiles {
  /**
   * Begins an upload under an id that the caller made (at least 128 random bits, of letters,
   * digits, `-` and `_`). `note` is the caller's, at most 1 KiB of text, and comes back from
   * openUpload and listUploads, also in a later process. `algorithm`: by which it is hashed as it
   * grows.
   * @throws StoreError full, io; busy when the id is taken
   */
  createUpload(id: string, note: string, algorithm: DigestAlgorithm): Promise<UploadFile>
  /**
   * An upload that was parked, or left by an earlier process: hashed again up to what is durable.
   * Undefined when there is none, or the disk can't read it.
   * @throws StoreError busy while it is open; full, io
   */
  openUpload(id: string): Promise<UploadFile | undefined>
  listUploads(): Promise<readonly LeftUpload[]>
  /**
   * As if it had last grown then: for one that a clock was ahead of. No effect when it is not here.
   * @throws StoreError io
   */
  dateUpload(id: string, changedAtMs: number): Promise<void>
  /**
   * Removes one that is not open. No effect when it is not here.
   * @throws StoreError busy while it is open; io
   */
  removeUpload(id: string): Promise<void>
}
