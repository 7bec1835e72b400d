// What the use cases of this room give to whoever speaks to clients: values, and readers of bytes.
// No HTTP in here.
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ByteRange } from '../oci/range.ts'
import type { Reference, Tag } from '../oci/reference.ts'

/**
 * Where an answer came from (`X-Entrepot-Source`): `hit` memory or disk; `joined` a fill that was
 * running already; `miss` the upstream, for this request; `peer` another edge, which no
 * answer has yet; `stale` past its freshness because the upstream failed; `local` kept here.
 */
export const SOURCES = ['hit', 'joined', 'miss', 'peer', 'stale', 'local'] as const
export type Source = (typeof SOURCES)[number]

/**
 * How long the same question has the same answer, as long as the stamp of its repository is the
 * same too (epochs.ts). Wall clock, in milliseconds: a clock that stands before `sinceMs` was set
 * back, and then the question is to be asked again.
 */
export interface Repeatable {
  /** For tags when the upstream last confirmed it: what `ageMs` counts from. */
  readonly sinceMs: number
  /** Before this the answer is as good as a new one. Infinity where only the stamp can end it. */
  readonly untilMs: number
  /**
   * From `untilMs` to this it may be given at once, if somebody asks the question again meanwhile.
   */
  readonly graceUntilMs: number
}

export interface ManifestAnswer {
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  /** Absent when only the head was asked for. */
  readonly bytes: Uint8Array | undefined
  readonly source: Source
  /** For tags: milliseconds since the upstream last confirmed it. */
  readonly ageMs: number | undefined
  /** Texts for `Warning: 299`, already valid (R13). */
  readonly warnings: readonly string[]
  /** Absent when the next one may get another answer. */
  readonly repeatable?: Repeatable | undefined
}

export interface BlobHead {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly source: Source
  /** Absent when the next one may get another answer. */
  readonly repeatable?: Repeatable | undefined
}

/** A blob in memory, whole, and hashed since it was read. */
export interface BlobRead extends BlobHead {
  readonly bytes: Uint8Array
}

/**
 * The next bytes: in the file, up to a position; these, which the file has not yet, and which MUST
 * NOT be changed; not soon.
 */
export type Sendable = number | Uint8Array | undefined

/**
 * The file behind a blob, whole or growing, for whoever sends it without a stream between: every
 * byte that `until` has told of is right to send from it. Valid until the answer is closed. All of
 * it is plain enough to be spoken to from another thread of this process.
 */
export interface BlobFile {
  /**
   * Open for reading, by position only. Never to be closed, and to be duplicated by who may outlive
   * the answer.
   */
  readonly descriptor: number
  /**
   * So many bytes from 0 could be sent when it was opened: all of a whole file, which another
   * thread need not ask for then.
   */
  readonly readyBytes: number
  /**
   * It was written or read there a moment ago, everywhere if no position is given: need not be
   * tried first. Absent: nowhere.
   */
  isProven?(position?: number): boolean
  /**
   * Resolves as soon as bytes from `position` on may be sent: to the position behind the last of
   * them, at most `last + 1`, or to bytes that go no further. Undefined when they will not come by
   * this file, or not soon: then `BlobAnswer.read` goes on from `position` to the end of the range.
   * Throws what `read` throws. `position` and `last` must lie inside the blob.
   */
  until(position: number, last: number, signal: AbortSignal): Promise<Sendable>
  /**
   * Fills `buffer` from `position` on; returns how many bytes were there. Below what `until` told
   * it is full.
   */
  read(buffer: Uint8Array, position: number): Promise<number>
}

/** An opened blob. MUST be closed exactly once, whatever happened. */
export interface BlobAnswer extends BlobHead {
  /** Undefined when the bytes are in no file, or nobody knows yet whether they will be. */
  readonly file: BlobFile | undefined
  /**
   * It lies here whole, and nothing depends on who reads it: who asks next may be given the same
   * opening. Default false.
   */
  readonly isShareable?: boolean
  /**
   * The bytes of `range`, which must lie inside the blob, from `from` on (default: its beginning)
   * if the client has those before it already. A chunk's memory is lent for as long as the chunk
   * itself is held: a part of it (`subarray`) MUST NOT outlive it. Follows a running fill and
   * withholds the blob's last bytes until its digest was right; throws when the fill failed, and
   * then MUST NOT be ended normally towards the client (R85, R231).
   */
  read(range: ByteRange, signal: AbortSignal, from?: number): AsyncIterable<Uint8Array>
  /**
   * Takes the memory of a chunk back from who neither reads it nor has handed it to anybody who
   * does. What is not given back is collected.
   */
  giveBack?(chunk: Uint8Array): void
  /** Its file did not hold what it was said to: nobody else is given this opening. */
  spoiled?(): void
  close(): Promise<void>
}

export interface TagsAnswer {
  readonly tags: readonly string[]
  /** More follow after the last of `tags`. */
  readonly more: boolean
  readonly source: Source
  readonly warnings: readonly string[]
}

export interface ReferrersAnswer {
  /** Descriptors, as they are to stand in the image index (R74). */
  readonly manifests: readonly unknown[]
  readonly filtered: boolean
  readonly source: Source
  readonly warnings: readonly string[]
}

export interface RepositoriesAnswer {
  /** Names as clients use them. */
  readonly repositories: readonly string[]
  /**
   * Where the list goes on, for `after`: a place that need not be listed, and is for nobody's eyes.
   * Undefined: it does not.
   */
  readonly next: string | undefined
}

/** An upload that has begun: `Location`, `Range` and `Docker-Upload-UUID` are made from it. */
export interface UploadState {
  /** Unguessable; what a client holds instead of a right. */
  readonly id: string
  /** Bytes received so far. */
  readonly sizeBytes: number
}

/** A piece of an upload as a request brings it. */
export interface UploadChunk {
  /**
   * The request's body. Read to its end, or left when the piece is refused before. Chunks are fresh
   * buffers that the reader owns.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** `Content-Range` of the request (R102); undefined: it goes where the last one ended. */
  readonly range: ByteRange | undefined
  /** `Content-Length`; undefined with chunked transfer coding. */
  readonly lengthBytes: number | undefined
}

export interface BlobPushed {
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * Tags that one push of a manifest may set (R112). The specification wants ten at least. An entry
 * of the outbox has room for these, with a few digests that each may have upstream. Beyond: 414,
 * and the client sends them one by one.
 */
export const PUSH_TAGS_MAX = 50

export interface ManifestPush {
  readonly reference: Reference
  /** Further tags of the query (R112); only with a digest as reference. */
  readonly tags: readonly Tag[]
  /** `Content-Type`, as the client wrote it. */
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface ManifestPushed {
  readonly digest: Digest
  /**
   * For `OCI-Subject` (R111): what it is listed as a referrer of. In `forward` mode at the
   * upstream, by that or by this edge.
   */
  readonly subject: Digest | undefined
  /** For `OCI-Tag`: the tags of the query that point to it now (R112). */
  readonly tags: readonly Tag[]
  /** What whoever pushed it should know of it. */
  readonly warnings: readonly string[]
}

/**
 * An upload whose pieces do not fit together (R102, R106): 416 with `Location` and `Range` of
 * `state`. The upload goes on.
 */
export class UploadOrderError extends RegistryError {
  readonly state: UploadState

  constructor(message: string, state: UploadState) {
    super('BLOB_UPLOAD_INVALID', message, { status: 416 })
    this.state = state
  }
}
