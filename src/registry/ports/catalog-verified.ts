// The catalog's port to when content was last verified: hashed whole, as it came or since. What a
// disk changes by itself nobody is told of, so all of it is read again, the longest unverified
// first.
import type { Digest } from '../../oci/digest.ts'
import type { RecordedContent } from './catalog-content.ts'

/** Of what was listed. */
export type UnverifiedPlace = Pick<RecordedContent, 'digest' | 'verifiedAtMs' | 'brokenAtMs'>

export interface UnverifiedPage {
  /** Only what is broken, by when that was last found; else only what is not. Default false. */
  readonly broken?: boolean
  /** Last verified, or found, then or later. Default whenever. */
  readonly fromMs?: number
  /** Last verified, or found, earlier than that. */
  readonly beforeMs: number
  /** The last one of the page before, as it was listed then. */
  readonly after?: UnverifiedPlace
  readonly limit: number
}

/** All of these were looked at, byte by byte. */
export interface Verified {
  /** They are what their digests say. */
  readonly digests: readonly Digest[]
  /** Their bytes are lost. */
  readonly broken: readonly Digest[]
  readonly atMs: number
}

export interface VerifiedReads {
  /** Content that is here, the longest unverified first; of equals in no order. */
  listUnverified(page: UnverifiedPage): Promise<readonly RecordedContent[]>
  /** When the first of it was last verified, broken content aside; undefined without any. */
  unverifiedSince(): Promise<number | undefined>
  /** Of content that belongs here. */
  countBroken(): Promise<number>
}

export interface VerifiedWrites {
  /** No effect on what is not recorded as here. */
  noteVerified(verified: Verified): Promise<void>
}
