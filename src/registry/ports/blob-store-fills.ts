// The blob store's port to blobs on their way in: files that grow, and the parts that are left of
// them.
import type { Digest } from '../../oci/digest.ts'
import type { ContentClass, ReadHandle, StoredBlob } from './blob-store-content.ts'

/** A part of a fill that nobody asked for in this time is not worth its space. */
export const PART_AGE_LIMIT_MS = 7 * 24 * 60 * 60 * 1000

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
  /** What it takes on disk with all that lies beside it, which is more than its length. */
  readonly takenBytes: number
  /** Wall clock: when it last grew, or was closed. */
  readonly changedAtMs: number
  /** See FillExpectation. */
  readonly source: string | undefined
}

export interface FillFiles {
  /**
   * Opens or resumes the one fill of `digest`. With `grown`, small chunks are gathered into larger
   * writes, and `grown` is called each time `contiguousBytes` has risen; it MUST NOT throw.
   * @throws StoreError busy while another is open; full, io
   */
  openFill(digest: Digest, grown?: () => void): Promise<FillFile>
  /** Would openFill resume something? Known without a look at the disk; true when unsure. */
  mayResume(digest: Digest): boolean
  /**
   * Parts that are not open: what may be resumed. Known without a look at the disk. There is a
   * bound to their number: where it is reached, the shortest go for what is opened.
   */
  describeParts(): Promise<readonly LeftPart[]>
  /**
   * What these take on disk together, and what is still being opened. Known without looking there.
   */
  readonly partsBytes: number
  /**
   * Removes one of them. False when it is open, or gone, or the disk does not let it go: that is
   * told, it is none of them then, and counts with other files.
   */
  removePart(digest: Digest): Promise<boolean>
  /** Removes those of them that have not grown for so long, and tries again what did not go. */
  removeParts(olderThanMs: number): Promise<void>
}
