// The catalog's port to when content was last verified: hashed whole, as it came or since. What a
// disk changes by itself nobody is told of, so all of it is read again, the longest unverified
// first.
import type { Digest } from '../../oci/digest.ts'
import type { RecordedContent } from './catalog-content.ts'

/** Of what was listed. */
export type UnverifiedPlace = Pick<RecordedContent, 'digest' | 'verifiedAtMs'>

export interface UnverifiedPage {
  /** Last verified then or later. Default whenever. */
  readonly fromMs?: number
  /** Last verified earlier than that. */
  readonly beforeMs: number
  /** The last one of the page before, as it was listed then. */
  readonly after?: UnverifiedPlace
  readonly limit: number
}

export interface Verified {
  readonly digests: readonly Digest[]
  readonly atMs: number
}

export interface VerifiedReads {
  /** Content that is here, the longest unverified first; of equals in no order. */
  listUnverified(page: UnverifiedPage): Promise<readonly RecordedContent[]>
  /** When the first of it was last verified; undefined where nothing is here. */
  unverifiedSince(): Promise<number | undefined>
}

export interface VerifiedWrites {
  /** All of these were looked at, byte by byte. No effect on what is not here. */
  noteVerified(verified: Verified): Promise<void>
}
