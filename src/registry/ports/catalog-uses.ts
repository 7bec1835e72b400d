// The catalog's port to who was given what and when: eviction and retention go by it.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'

/** What somebody asked for and was given, or was told is as they have it. */
export interface Used {
  readonly repository: Repository
  /** Of a manifest, or of a blob. */
  readonly digest: Digest
  /** That the manifest was asked for by; undefined: by its digest. */
  readonly tag?: Tag | undefined
}

/** Some uses of the same, at least one. */
export interface CountedUses extends Used {
  readonly count: number
  /** When the last of them was, wall clock. */
  readonly atMs: number
}

export interface UseWrites {
  /**
   * Each thing at most once in `uses`. No effect on what is not recorded; what was noted moves
   * forward only. But images that are warmer than any can be at the time of the last of these, by
   * a clock that was ahead, were used at that time: some of them, the warmest first.
   */
  noteUses(uses: readonly CountedUses[]): Promise<void>
}
