// What was chosen to leave, and what the disk has back by it.
import type { Digest } from '../../oci/digest.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { Candidate } from './candidate.ts'

export interface Leaves {
  readonly candidate: Candidate
  /** That become free with it, of what leaves in this order. */
  readonly bytes: number
  readonly files: number
}

/** By what is wanted of the disk. */
export type Measure = 'bytes' | 'files'

/** As `Leaving` is given it. */
export function whatOf({ candidate: each }: Leaves): Digest | Image {
  return each.kind === 'image' ? each.image : each.content.digest
}

export function sumOfEach(leaving: readonly Leaves[], measure: Measure): number {
  return leaving.reduce((sum, each) => sum + each[measure], 0)
}
