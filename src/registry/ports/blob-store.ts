// The port to content on disk, by digest: whole verified blobs, and the growing files that become
// blobs. Names, tags and rights are the catalog's; this port knows digests only.
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'

/**
 * `cached`: can be fetched again; may vanish in a power cut, must never be wrong. `kept`:
 * acknowledged means durable, so the directory is synced too (reliability rules: file fsync,
 * rename, directory fsync).
 */
export type ContentClass = 'cached' | 'kept'

export interface StoredBlob {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** A part of a fill that nobody asked for in this time is not worth its space. */
export const PART_AGE_LIMIT_MS = 7 * 24 * 60 * 60 * 1000

/** What was written down of content when it was verified. Undefined: nothing is known. */
export type FindKnown = (digest: Digest) => Promise<KnownContent | undefined>

/** Was it here, and does it belong to no repository any more? False where nothing is known. */
export type IsForgone = (digest: Digest) => Promise<boolean>

export interface KnownContent {
  readonly sizeBytes: number
  readonly contentClass: ContentClass
}

/** An open file that is read by position; many readers may share it. MUST be closed once. */
export interface ReadHandle {
  /**
   * The file's descriptor, for whoever can send a file without reading it: valid until `close`, in
   * every thread of this process. Only for reading by position, and never to be closed. Undefined
   * when the bytes are not in a file.
   */
  readonly descriptor: number | undefined
  /**
   * Fills `buffer` from `position` on; returns how many bytes were there, fewer only at the end.
   * @throws StoreError io
   */
  read(buffer: Uint8Array, position: number): Promise<number>
  close(): Promise<void>
}

/**
 * A blob on its way in: one file that grows, hashed as it grows. One writer; any number of readers
 * below `contiguousBytes`. Calls of the writer MUST NOT overlap, but for those that say so:
 * writeAhead may run beside others of its kind and beside append. After commit, park or discard
 * only `read` handles live on.
 */
export interface FillFile {
  readonly digest: Digest
  /**
   * Bytes on disk from 0 without a gap, and hashed; readers may read up to here. When opened over a
   * part that an earlier process left, this is the length of that part, already hashed again.
   */
  readonly contiguousBytes: number
  /**
   * Where append puts its chunk: at least `contiguousBytes`. Also rises by itself, in a later turn
   * of the event loop, while what was written ahead is hashed, but never to a place that a writer
   * still has bytes for.
   */
  readonly appendedBytes: number
  /** On disk beyond `appendedBytes`, in one piece or several. */
  readonly aheadBytes: number
  /** What the sidecar of an earlier attempt said, else undefined. */
  readonly expected: FillExpectation | undefined
  /**
   * Writes down what the upstream said, so that a later process can resume; a disk that cannot
   * costs that, not the fill. May run beside append and writeAhead.
   */
  expect(expectation: FillExpectation): Promise<void>
  /**
   * Appends all of `chunk` (short writes are continued). The chunk is not changed and not kept once
   * this has resolved. For a fill that was opened with `grown` it resolves as soon as the chunk is
   * hashed and has room in a bounded buffer, and a write that fails later is thrown by the next
   * call; otherwise it resolves when the chunk is on disk. After a failure only park and discard
   * are of use.
   * @throws StoreError full, io
   */
  append(chunk: Uint8Array): Promise<void>
  /**
   * Writes `chunks`, one behind the other, from `position` on, at or beyond `appendedBytes` and
   * where nothing was written yet. Resolves when they are on disk; they are not changed and not
   * kept. Once everything before them is there they are hashed and count as appended, and `grown`
   * is called as ever. A part that is opened again begins with at most what was contiguous.
   * @throws StoreError full, io, also of an earlier write
   */
  writeAhead(position: number, chunks: readonly Uint8Array[]): Promise<void>
  /**
   * Forgets what lies ahead, so that append may bring it again. MUST NOT overlap with writeAhead.
   * @throws StoreError full, io
   */
  forgetAhead(): Promise<void>
  /**
   * Resolves when everything appended is on disk, and hashed as far as it goes without a gap:
   * `contiguousBytes` is then all there is without one.
   * @throws StoreError full, io
   */
  flush(): Promise<void>
  /**
   * Compares length and digest of all that was appended; what follows is only flush and
   * publication.
   * @throws StoreError corrupt
   */
  verify(sizeBytes: number): void
  /**
   * After verify: flush, fsync, close, rename to the blob's name (and sync the directory when
   * `kept`). Never retries an fsync. When the blob is there already, the new verified file replaces
   * it. A failed commit discards.
   * @throws StoreError full, io
   */
  commit(contentClass: ContentClass): Promise<StoredBlob>
  /**
   * Closes and leaves what is contiguous on disk for a later openFill, made durable; an empty part
   * is removed. No effect when the fill has ended.
   * @throws StoreError io, full; the part is removed then
   */
  park(): Promise<void>
  /**
   * Closes and removes the part: its bytes were wrong or nobody wants them. No effect when the fill
   * has ended.
   */
  discard(): Promise<void>
  /** A handle on the growing file; stays valid through commit and discard. */
  openRead(): Promise<ReadHandle>
}

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
  /** Closes and removes it. No effect when it has ended. */
  discard(): Promise<void>
  /** On the growing file, below `sizeBytes` once flushed; valid through commit and discard. */
  openRead(): Promise<ReadHandle>
}

/** An upload that lies on disk, open or not. */
export interface LeftUpload {
  readonly id: string
  readonly note: string
  readonly sizeBytes: number
  /** Wall clock: when it last grew. */
  readonly changedAtMs: number
}

export interface FillExpectation {
  readonly sizeBytes: number | undefined
  /** ETag of the upstream's answer. */
  readonly validator: string | undefined
  /**
   * Who sends it, as a note for whoever resumes; nothing is made of it in here. At most 300
   * characters.
   */
  readonly source?: string | undefined
}

/** A part that no fill has open. */
export interface LeftPart {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Wall clock: when it last grew. */
  readonly changedAtMs: number
  /** See FillExpectation. */
  readonly source: string | undefined
}

export interface Space {
  /** Free for this process on the file system that holds the blobs. */
  readonly freeBytes: number
  readonly totalBytes: number
}

/**
 * A store is told what is known of content (`FindKnown`), and MUST NOT take what has another length
 * for it: such content is hashed, and moved out of the way (quarantined) and reported as undefined
 * unless its bytes are right, in which case what was known is wrong. Where nothing is known, that
 * holds for the length that the caller of find or openRead was told (`declaredBytes`).
 */
export interface BlobStore {
  /**
   * Is the whole blob here? MUST look at the disk, not at a memory of it, and MUST NOT answer for a
   * part.
   */
  find(digest: Digest, declaredBytes?: number): Promise<StoredBlob | undefined>
  /**
   * Opens the whole blob; undefined when it is not here. The handle stays readable when the blob is
   * removed meanwhile.
   */
  openRead(
    digest: Digest,
    declaredBytes?: number,
  ): Promise<{ blob: StoredBlob; handle: ReadHandle } | undefined>
  /**
   * The whole content, hashed again on this read (R184); undefined when it is not here. Content
   * that no longer hashes to its digest MUST be quarantined and reported as undefined, so that it
   * is fetched anew.
   */
  readVerified(digest: Digest): Promise<Uint8Array | undefined>
  /**
   * Stores small content whole, by the same write protocol as a fill. Idempotent.
   * @throws StoreError full, io, corrupt
   */
  put(digest: Digest, bytes: Uint8Array, contentClass: ContentClass): Promise<StoredBlob>
  /**
   * Opens or resumes the one fill of `digest`. With `grown`, small chunks are gathered into larger
   * writes, and `grown` is called each time `contiguousBytes` has risen; it MUST NOT throw.
   * @throws StoreError busy while another is open; full, io
   */
  openFill(digest: Digest, grown?: () => void): Promise<FillFile>
  /** Would openFill resume something? Known without a look at the disk; true when unsure. */
  mayResume(digest: Digest): boolean
  /** Parts that are not open: what may be resumed. @throws StoreError io */
  describeParts(): Promise<readonly LeftPart[]>
  /** What these take on disk together. Known without looking there. */
  readonly partsBytes: number
  /** Removes one of them. False, and no effect, when it is open, or gone. @throws StoreError io */
  removePart(digest: Digest): Promise<boolean>
  /** Removes those of them that have not grown for so long. @throws StoreError io */
  removeParts(olderThanMs: number): Promise<void>
  /** What was moved out of the way takes so much on disk. Known without looking there. */
  readonly quarantineBytes: number
  /**
   * Removes of it what is beyond its bounds and was pushed by nobody, or is nobody's any more.
   * @throws StoreError io
   */
  clearQuarantine(): Promise<void>
  /**
   * Makes what is here durable as `kept` content is: fsync of the file and of its directory.
   * Undefined when the blob is not here. Idempotent.
   * @throws StoreError io
   */
  keep(digest: Digest): Promise<StoredBlob | undefined>
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
   * Undefined when there is none, or its beginning can't be read.
   * @throws StoreError busy while it is open; full, io
   */
  openUpload(id: string): Promise<UploadFile | undefined>
  listUploads(): Promise<readonly LeftUpload[]>
  /**
   * Removes one that is not open. No effect when it is not here.
   * @throws StoreError busy while it is open; io
   */
  removeUpload(id: string): Promise<void>
  /** No effect when the blob is not here. */
  remove(digest: Digest): Promise<void>
  /**
   * Every whole blob, in no order; for recovery. Entries that appear or vanish meanwhile may be
   * missed or reported.
   */
  list(): AsyncIterable<StoredBlob>
  space(): Promise<Space>
}
