// The blob store's port to whole content: what is known of it, reading it, keeping it.
import type { Digest } from '../../oci/digest.ts'

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

/** Something lies there, or may, and the disk cannot give it: that is no word that it is gone. */
export const UNKNOWN = 'unknown'

/** What was written down of content when it was verified. Undefined: nothing is known. */
export type FindKnown = (digest: Digest) => Promise<KnownContent | undefined>

/** Does it belong to no repository any more? False where nobody can tell. */
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

export type Looked = StoredBlob | 'none' | typeof UNKNOWN

export interface Rereading {
  /** MUST change nothing. */
  readonly dryRun: boolean
  /** Awaited after each piece, of so many bytes; what it throws ends the reading. */
  readonly between: (pieceBytes: number) => Promise<void>
}

export interface Reread {
  /** `none`: there is no file. Of what is `wrong` or `unreadable` none is here any more. */
  readonly found: 'right' | 'wrong' | 'unreadable' | 'none'
  /** Its mode kept it from being read. */
  readonly isMended: boolean
}

/** Reads one blob at a time. */
export interface Rereader {
  /**
   * Reads all of it, whatever its length, to see whether it is what its digest says. MUST read once
   * more what is not; then it is put out of the way, but for what the disk cannot read and was
   * pushed, as everywhere. MUST NOT be called again before it has settled.
   * @throws StoreError io; what `between` throws
   */
  reread(digest: Digest, how: Rereading): Promise<Reread>
  close(): Promise<void>
}

export type PassedOver = (digest: Digest | undefined) => void

export interface WholeBlobs {
  /**
   * Is the whole blob here? MUST look at the disk, not at a memory of it, and MUST NOT answer for a
   * part.
   */
  find(digest: Digest, declaredBytes?: number): Promise<StoredBlob | undefined>
  /**
   * The same for who takes what is missing for gone. `find` says undefined of what is unknown, as
   * nobody can be given it.
   */
  look(digest: Digest, declaredBytes?: number): Promise<Looked>
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
   * For who reads what is here only to verify it: beside those who serve, and without taking their
   * place in memory. MUST be closed once.
   */
  openRereader(): Rereader
  /**
   * Stores small content whole, by the same write protocol as a fill. Idempotent.
   * @throws StoreError full, io, corrupt
   */
  put(digest: Digest, bytes: Uint8Array, contentClass: ContentClass): Promise<StoredBlob>
  /**
   * Makes what is here durable as `kept` content is: fsync of the file and of its directory.
   * Undefined when the blob is not here. Idempotent.
   * @throws StoreError io
   */
  keep(digest: Digest): Promise<StoredBlob | undefined>
  /** No effect when the blob is not here. */
  remove(digest: Digest): Promise<void>
  /**
   * Every whole blob, in no order; for recovery. Entries that appear or vanish meanwhile may be
   * missed or reported. `passedOver` is told of what the disk cannot look at: without a digest, it
   * may be any number of files.
   */
  list(passedOver?: PassedOver): AsyncIterable<StoredBlob>
}
