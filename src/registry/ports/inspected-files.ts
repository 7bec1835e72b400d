// The port to a data directory as it lies there, for who says what is wrong with it and changes
// nothing: content, and all that is beside it. Nothing that is read by it may change a byte or a
// time of any file.
import type { Digest } from '../../oci/digest.ts'
import type { Rereader } from './blob-store-content.ts'
import type { FactIdentity } from './facts.ts'

export interface InspectedBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  /** `other`: a link, a pipe, a directory. `unreadable`: the disk cannot look at it. */
  readonly is: 'file' | 'other' | 'unreadable'
}

/** What is wrong by itself, whatever any catalog says. */
export interface OddFile {
  readonly kind:
    | 'mode'
    | 'forbidden'
    | 'owner'
    | 'unreadable'
    | 'not a file'
    | 'fact unreadable'
    | 'part of no use'
    | 'upload of no use'
    | 'leftover'
    | 'strange'
    | 'damaged predecessor'
    | 'quarantined'
  /** Below the data directory. */
  readonly path: string
  readonly detail: string
  /** Of content. */
  readonly digest?: Digest
}

export type NoteOdd = (odd: OddFile) => void

export interface InspectedFiles {
  /**
   * All that has the name of content, in the order of digests; what is wrong with a file by itself
   * is told to `note` on the way. Memory: names of a 256th of them.
   * @throws StoreError io
   */
  blobs(note: NoteOdd): AsyncIterable<InspectedBlob>
  /** As `blobs` would have it now; undefined where nothing has its name. */
  look(digest: Digest): Promise<InspectedBlob | undefined>
  /** All but content: tells what is wrong. Returns how many files there were. @throws StoreError */
  others(note: NoteOdd): Promise<number>
  /** Where a fact of that lies, below the data directory. */
  placeOfFact(identity: FactIdentity): string
  openRereader(): Rereader
}
