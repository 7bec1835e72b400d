// Of a page of candidates those that leave together: as many as are needed, none that takes along
// what somebody reads at this moment, none that a quota holds; and what the disk has back by each
// of them, shared content with the last that needs it. A quota is less by what leaves its
// repositories, which others may have still, and by what leaves with the image of another.
import type { Digest } from '../../oci/digest.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Footprint } from '../ports/catalog-images.ts'
import type { Stage } from './candidate.ts'
import type { Chosen, Measure } from './chosen.ts'
import type { CandidatePage } from './scan.ts'
import type { Quota } from '../routing/quota.ts'
import type { QuotaStandings } from './quotas.ts'

export interface Choice {
  /** The first of the page that may leave. */
  readonly leaving: readonly Chosen[]
  /** They are as much as is wanted. */
  readonly isEnough: boolean
  /** What has left by then, with what had before. */
  readonly footprint: Footprint | undefined
}

export interface Chooser {
  readonly catalog: Pick<Catalog, 'footprint'>
  /** Is it being read, or fetched? */
  readonly isInUse: (digest: Digest) => boolean
  /** What stays, whatever lists it. */
  readonly spared: ReadonlySet<Digest>
  readonly standings: QuotaStandings
  /** Does somebody of this quota need the room? */
  readonly isOwn: (quota: Quota) => boolean
  /** Lets others run, where it is time. Awaited before each image. */
  readonly pause: () => Promise<void>
}

export interface Wanted {
  readonly wanted: number
  readonly measure: Measure
  /** What has left before, where it is only thought of. */
  readonly after?: Footprint | undefined
}

/**
 * One after the other, after those that were chosen before: what one that stays would have taken
 * along counts for nobody, and it does not matter where a page ends. What is chosen counts as gone
 * in `standings`. @throws StoreError
 */
export async function choose(
  { catalog, isInUse, spared, standings, isOwn, pause }: Chooser,
  { stage, candidates }: CandidatePage,
  { wanted, measure, after }: Wanted,
): Promise<Choice> {
  const leaving: Chosen[] = []
  let footprint = after
  let sum = 0
  for (const candidate of candidates) {
    const { kind } = candidate
    if (kind === 'image' && stage.isOver && !standings.isOver(candidate.image.repository)) continue
    await pause()
    const what = kind === 'image' ? candidate.image : candidate.content.digest
    const next = await catalog.footprint([what], { after: footprint, spared })
    const [freed] = next.byImage
    if (freed === undefined || freed.digests.some(isInUse)) continue
    const { bytes, digests, repositories } = freed
    // What somebody has come to need since it was listed.
    if (kind === 'loose' && digests.length === 0) continue
    const leaves = { candidate, bytes, files: digests.length }
    if (!isLean(leaves, stage)) continue
    // What is above a ceiling leaves whatever a floor of its own says, but none of others. What is
    // loose no quota holds, but it counts in those of its repositories as long as it is here.
    const counted = stage.isOver ? repositories.slice(1) : repositories
    if (kind === 'image' && standings.isWithinFloor(counted, isOwn)) continue
    standings.take(repositories)
    footprint = next
    leaving.push(leaves)
    sum += leaves[measure]
    if (sum >= wanted) return { leaving, isEnough: true, footprint }
  }
  return { leaving, isEnough: false, footprint }
}

/** What frees no file is none that takes few bytes for it. */
function isLean({ bytes, files }: Pick<Chosen, 'bytes' | 'files'>, { leanBytes }: Stage): boolean {
  return leanBytes === undefined || (files > 0 && bytes <= files * leanBytes)
}
