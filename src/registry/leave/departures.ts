// What left by one call, for whoever let it go: what the disk had back by it, and what of it is
// still there because it cannot be removed.
import type { Digest } from '../../oci/digest.ts'
import type { Eviction } from '../ports/catalog-images.ts'
import type { Leaves } from '../ports/catalog-space.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Left } from './pass.ts'

/** What left, and all that did with it: as the write found it, whatever it was asked for. */
export interface Departure<Each> {
  readonly what: Each
  /** Whose files are gone, once those went that could. */
  readonly leaves: readonly Leaves[]
  /** Whose files cannot be removed: they go later, and are nobody's room before. */
  readonly stuck: readonly Leaves[]
}

/** Of those that were to leave, those that did: what is held by then, or needed, is not in it. */
export interface Departed<Each> {
  readonly left: readonly Departure<Each>[]
  /** By which their files went: the same for all who let something go meanwhile. */
  readonly passes: readonly Left[]
}

export interface LetGoHow<Each> {
  readonly spared?: Eviction['spared']
  /**
   * Told once all is written down: whoever reads the catalog from then on, reads it without. Its
   * files go meanwhile. MUST NOT throw. Default nobody.
   */
  readonly written?: () => void
  /** Told once, also of what had left before a failure. MUST NOT throw. Default nobody. */
  readonly departed?: (departed: Departed<Each>) => void
}

/** Looked up in one read. */
const LOOKED_UP_AT_ONCE = 256

/** The same, with what is still on its way out set apart. @throws StoreError */
export async function withStuck<Each>(
  catalog: Pick<Catalog, 'whichLeave'>,
  left: readonly Departure<Each>[],
): Promise<readonly Departure<Each>[]> {
  const digests = left.flatMap(({ leaves }) => leaves.map(({ digest }) => digest))
  const stuck = new Set<Digest>()
  for (let at = 0; at < digests.length; at += LOOKED_UP_AT_ONCE)
    for (const each of await catalog.whichLeave(digests.slice(at, at + LOOKED_UP_AT_ONCE)))
      stuck.add(each)
  return left.map(({ what, leaves }) => ({
    what,
    leaves: leaves.filter(({ digest }) => !stuck.has(digest)),
    stuck: leaves.filter(({ digest }) => stuck.has(digest)),
  }))
}
