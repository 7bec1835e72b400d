// Of a page of candidates those that leave together: as many as are needed, none that takes along
// what somebody reads at this moment, none that a quota holds; and what the disk has back by each
// of them, shared content with the last that needs it. A quota is less by what leaves its
// repositories, which others may have still, and by what leaves with the image of another.
import type { Digest } from '../../oci/digest.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { ColdImage, Footprint } from '../ports/catalog-images.ts'
import type { LooseContent } from '../ports/catalog-space.ts'
import type { Stage } from './candidate.ts'
import type { Chosen, Measure } from './chosen.ts'
import type { Page } from './order.ts'
import type { Quota } from '../space/quota.ts'
import type { QuotaStandings } from './quotas.ts'

/**
 * Repositories that know what is loose as theirs, of which it is taken off: a blob that was pulled
 * by its digest alone has few, and whoever has a name for each of very many keeps no run waiting.
 */
const REPOSITORIES_ASKED = 16

export interface Choice {
  /** The first of the page that may leave. */
  readonly leaving: readonly Chosen[]
  /** They are as much as is wanted. */
  readonly isEnough: boolean
  /** What has left by then, with what had before, where there are images. */
  readonly footprint: Footprint | undefined
}

export interface Chooser {
  readonly catalog: Pick<Catalog, 'footprint' | 'listRepositoriesOf'>
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

/** What is chosen counts as gone in `standings`. @throws StoreError */
export async function choose(
  chooser: Chooser,
  { stage, candidates }: Page,
  { after, ...wanted }: Wanted,
): Promise<Choice> {
  const loose = candidates.flatMap(each => (each.kind === 'loose' ? [each.content] : []))
  if (loose.length > 0) return await chooseLoose(chooser, loose, { stage, ...wanted })
  const images = candidates.flatMap(each => (each.kind === 'image' ? [each.image] : []))
  return await chooseImages(chooser, images, { stage, after, ...wanted })
}

/**
 * One after the other, after those that were chosen before: what one that stays would have taken
 * along counts for nobody, and it does not matter where a page ends.
 */
async function chooseImages(
  { catalog, isInUse, spared, standings, isOwn, pause }: Chooser,
  images: readonly ColdImage[],
  { stage, wanted, measure, after }: Wanted & { readonly stage: Stage },
): Promise<Choice> {
  const leaving: Chosen[] = []
  let footprint = after
  let sum = 0
  for (const image of images) {
    if (stage.isOver && !standings.isOver(image.repository)) continue
    await pause()
    const next = await catalog.footprint([image], { after: footprint, spared })
    const [freed] = next.byImage
    if (freed === undefined || freed.digests.some(isInUse)) continue
    const { bytes, digests, repositories } = freed
    const leaves = { candidate: { kind: 'image', image } as const, bytes, files: digests.length }
    if (!isLean(leaves, stage)) continue
    // What is above a ceiling leaves whatever a floor of its own says, but none of others.
    if (standings.isWithinFloor(stage.isOver ? repositories.slice(1) : repositories, isOwn))
      continue
    standings.take(repositories)
    footprint = next
    leaving.push(leaves)
    sum += leaves[measure]
    if (sum >= wanted) return { leaving, isEnough: true, footprint }
  }
  return { leaving, isEnough: false, footprint }
}

/** No quota holds it, but it counts in those of its repositories as long as it is here. */
async function chooseLoose(
  { catalog, standings }: Chooser,
  loose: readonly LooseContent[],
  { stage, ...wanted }: Omit<Wanted, 'after'> & { readonly stage: Stage },
): Promise<Choice> {
  const all = loose
    .map(content => {
      const candidate = { kind: 'loose', content } as const
      return { candidate, bytes: onDiskBytes(content.sizeBytes), files: 1 }
    })
    .filter(each => isLean(each, stage))
  const chosen = enough(all, wanted)
  if (standings.areAny)
    for (const { candidate, bytes } of all.slice(0, chosen.leaving.length))
      for (const repository of await catalog.listRepositoriesOf(
        candidate.content.digest,
        REPOSITORIES_ASKED,
      ))
        standings.take([{ repository, bytes }])
  return { ...chosen, footprint: undefined }
}

/** What frees no file is none that takes few bytes for it. */
function isLean({ bytes, files }: Pick<Chosen, 'bytes' | 'files'>, { leanBytes }: Stage): boolean {
  return leanBytes === undefined || (files > 0 && bytes <= files * leanBytes)
}

function enough(
  all: readonly Chosen[],
  { wanted, measure }: Omit<Wanted, 'after'>,
): Pick<Choice, 'leaving' | 'isEnough'> {
  let sum = 0
  const last = all.findIndex(each => {
    sum += each[measure]
    return sum >= wanted
  })
  return last === -1
    ? { leaving: all, isEnough: false }
    : { leaving: all.slice(0, last + 1), isEnough: true }
}
