// What was chosen to leave, and what the disk has back by it.
import type { Digest } from '../../oci/digest.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { Departure } from '../leave/departures.ts'
import { freedBytes } from '../leave/loosened.ts'
import type { Candidate } from './candidate.ts'

export interface Chosen {
  readonly candidate: Candidate
  /** That become free with it, of what leaves in this order. */
  readonly bytes: number
  readonly files: number
}

/** By what is wanted of the disk. */
export type Measure = 'bytes' | 'files'

/** As `Leaving` is given it. */
export function whatOf({ candidate: each }: Chosen): Digest | Image {
  return each.kind === 'image' ? each.image : each.content.digest
}

export function sumOfEach(leaving: readonly Chosen[], measure: Measure): number {
  return leaving.reduce((sum, each) => sum + each[measure], 0)
}

/** With what the disk has back by each as it was done, whatever was expected of it. */
export function thoseThatLeft(
  chosen: readonly Chosen[],
  left: readonly Departure<Digest | Image>[],
): readonly Chosen[] {
  const byWhat = new Map(left.map(({ what, leaves }) => [what, leaves]))
  return chosen.flatMap(each => {
    const leaves = byWhat.get(whatOf(each))
    if (leaves === undefined) return []
    return [{ ...each, bytes: freedBytes(leaves), files: leaves.length }]
  })
}
