// The port to content on disk, by digest: whole verified blobs, and the growing files that become
// blobs. Names, tags and rights are the catalog's; this port knows digests only. Each subject is in
// a file of its own; here is what holds for all of them.
import type { WholeBlobs } from './blob-store-content.ts'
import type { FillFiles } from './blob-store-fills.ts'
import type { UploadFiles } from './blob-store-uploads.ts'

/**
 * A file takes whole blocks: of this size on the file systems that edges keep their data on, unless
 * somebody made them otherwise.
 */
export const BLOCK_BYTES = 4096

/** What a file of this length takes, about. */
export function onDiskBytes(lengthBytes: number): number {
  return Math.ceil(lengthBytes / BLOCK_BYTES) * BLOCK_BYTES
}

/** `full` to the last byte, or file. */
export interface Unwritable {
  readonly why: 'read-only' | 'full'
  /** When that was seen first, on the wall clock. */
  readonly sinceMs: number
}

export interface Space {
  /** Free for this process on the file system that holds the blobs. */
  readonly freeBytes: number
  readonly totalBytes: number
  /** How many files it holds, where that is bounded. */
  readonly files?: { readonly free: number; readonly total: number } | undefined
  /** Absent while it can be written. */
  readonly unwritable?: Unwritable
}

/**
 * A store is told what is known of content (`FindKnown`), and MUST NOT take what has another length
 * for it: such content is hashed, and moved out of the way (quarantined) and reported as undefined
 * unless its bytes are right, in which case what was known is wrong. Where nothing is known, that
 * holds for the length that the caller of find or openRead was told (`declaredBytes`).
 *
 * Content that is there and that the disk cannot look at or read is none either: it is told, moved
 * out of the way where that can be done, and reported as undefined. Who was reading it is thrown a
 * StoreError io, at the byte that could not be read.
 */
export interface BlobStore extends WholeBlobs, FillFiles, UploadFiles {
  /** What was moved out of the way takes so much on disk. Known without looking there. */
  readonly quarantineBytes: number
  /**
   * Removes of it what is beyond its bounds and was pushed by nobody, or is nobody's any more.
   * @throws StoreError io
   */
  clearQuarantine(): Promise<void>
  space(): Promise<Space>
  /**
   * What the data directory takes beside whole content, parts, uploads and what was moved out of
   * the way: the catalog, facts, directories, and what files have on disk beyond their lengths. As
   * it was measured last.
   */
  readonly otherBytes: number
  /**
   * MUST NOT cost more the more content there is, but seldom. One that runs is shared.
   * @throws StoreError io
   */
  measureOthers(): Promise<void>
}
