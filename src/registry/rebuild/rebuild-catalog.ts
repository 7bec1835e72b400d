// A catalog that was begun anew is told what the facts beside the content say, before anybody asks:
// which manifest belongs to which repository, where tags point, what was deleted, and what is still
// to be delivered. So a lost database loses no push and no delivery, and brings nothing back that
// was deleted. What was only cached is not in the facts: it is fetched again.
import { parseRepositoryKey } from '../../oci/reference.ts'
import { bestEffort } from '../best-effort.ts'
import { eachFew } from '../../async/few-at-once.ts'
import type { StoredContent } from '../content/content.ts'
import { countedNumber } from '../ports/order.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { Fact, FactStore, ListedFact } from '../ports/facts.ts'
import { rebuildDelivery, Undelivered } from './rebuild-delivery.ts'
import { rebuildManifest } from './rebuild-manifest.ts'
import { rebuildTag } from './rebuild-tag.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'

export interface RebuildParts {
  readonly content: StoredContent
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly policies: RepositoryPolicies
  readonly clock: Clock
  readonly note: NoteEvent
}

export interface RebuildReport {
  /** False when the catalog needed none; everything else is 0 then. */
  readonly isDone: boolean
  readonly manifests: number
  /** That manifests list and that are on disk. */
  readonly blobs: number
  readonly tags: number
  readonly deletes: number
  readonly deliveries: number
  /**
   * Manifests whose bytes are gone or wrong, and tags kept here alone that point to them; an event
   * tells of each manifest. And entries of which a tag cannot be read.
   */
  readonly lost: number
  /**
   * Entries whose manifest was deleted since, or was never acknowledged: their facts were removed.
   */
  readonly droppedDeliveries: number
  readonly durationMs: number
}

/** Each may read a manifest of 4 MiB; their rows share commits. */
const FACTS_AT_ONCE = 32
const BUSY_PAUSE_MS = 50

type Counts = { -readonly [Each in keyof RebuildReport]: RebuildReport[Each] }

/**
 * No effect on a catalog that is `rebuilt`. Idempotent: one that was cut off begins again. Reads
 * the facts up to four times, in memory that grows with undelivered entries alone. MUST end before
 * anybody asks, pushes or delivers.
 * @throws StoreError
 */
export async function rebuildCatalog(parts: RebuildParts): Promise<RebuildReport> {
  const { catalog, clock, facts } = parts
  const startMs = clock.monotonicMs()
  const counts = noCounts()
  if (catalog.rebuilt) return counts
  await rebuild(parts, counts)
  await catalog.markRebuilt(counts.lost === 0 && facts.failures === 0)
  return { ...counts, isDone: true, durationMs: clock.monotonicMs() - startMs }
}

async function rebuild(parts: RebuildParts, counts: Counts): Promise<void> {
  const { catalog } = parts
  const undelivered = new Undelivered()
  const kinds = new Set<Fact['kind']>()
  let largest = 0
  await eachFact(parts, async fact => {
    kinds.add(fact.kind)
    if (fact.kind === 'manifest') await countManifest(parts, fact, counts)
    largest = Math.max(largest, numberOf(fact))
    if (fact.kind === 'delivery') undelivered.add(fact)
  })
  const eachOf = eachOfThose(parts, kinds)
  await eachOf('tag', async fact => {
    counts[(await rebuildTag(parts, fact, undelivered.carries(fact))) ? 'tags' : 'lost']++
  })
  // Tombstones after all that lists or names what they are about.
  await eachOf('deleted', async fact => {
    await catalog.removeMember(parseRepositoryKey(fact.repository), fact.digest)
    await tellAnew(parts, fact)
    counts.deletes++
  })
  await eachOf('delivery', async fact => {
    const outcome = await rebuildDelivery(parts, fact)
    if (outcome === 'dropped') await parts.facts.remove([fact])
    counts[COUNTED[outcome]]++
  })
  await catalog.raiseSequence(largest)
}

/** That was given for it: what is pushed or deleted from now on comes after it. */
function numberOf(fact: Fact): number {
  if (fact.kind === 'delivery') return fact.id
  if (fact.kind === 'manifest' || isOfAnyEdge(fact)) return 0
  return countedNumber(fact.order)
}

/** Its number was given by whoever made the bundle. */
function isOfAnyEdge(fact: Fact): boolean {
  return fact.kind === 'tag' && fact.imported === true
}

const COUNTED = {
  recorded: 'deliveries',
  dropped: 'droppedDeliveries',
  unclear: 'lost',
} as const

async function countManifest(
  parts: RebuildParts,
  fact: Extract<Fact, { kind: 'manifest' }>,
  counts: Counts,
): Promise<void> {
  // Nothing here says any more which of them a client was told of lately.
  const acknowledgedAtMs = parts.clock.nowMs()
  const blobs = await rebuildManifest(parts, fact, { acknowledgedAtMs })
  if (blobs === undefined) counts.lost++
  else {
    counts.manifests++
    counts.blobs += blobs
  }
}

/**
 * This catalog knows of the delete: it takes nothing away that comes from now on. Where the disk
 * refuses that, it may, of what a manifest lists that an upstream gives.
 */
async function tellAnew(
  { facts, note }: RebuildParts,
  { isEarlier, ...fact }: ListedFact & { readonly kind: 'deleted' },
): Promise<void> {
  if (isEarlier === true) await bestEffort(note, () => facts.write([fact], { takesAway: true }))
}

/** Reads the facts once more for each kind that there is; those of one kind in any order. */
function eachOfThose(parts: RebuildParts, kinds: ReadonlySet<Fact['kind']>) {
  return async <Kind extends Fact['kind']>(
    kind: Kind,
    work: (fact: ListedFact & { kind: Kind }) => Promise<void>,
  ): Promise<void> => {
    if (kinds.has(kind))
      await eachFact(parts, async fact => (isOf(fact, kind) ? work(fact) : undefined))
  }
}

function isOf<Kind extends Fact['kind']>(
  fact: ListedFact,
  kind: Kind,
): fact is ListedFact & { kind: Kind } {
  return fact.kind === kind
}

async function eachFact(
  { facts, clock }: RebuildParts,
  work: (fact: ListedFact) => Promise<void>,
): Promise<void> {
  await eachFew(facts.list(), FACTS_AT_ONCE, async fact => {
    if (fact !== 'unreadable') await patiently(clock, () => work(fact))
  })
}

/**
 * Large manifests together may be more than the catalog takes at once. Whatever is done here may be
 * done twice.
 */
async function patiently(clock: Clock, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreError) || error.failure !== 'busy') throw error
      await clock.sleep(BUSY_PAUSE_MS)
    }
  }
}

function noCounts(): Counts {
  return {
    isDone: false,
    manifests: 0,
    blobs: 0,
    tags: 0,
    deletes: 0,
    deliveries: 0,
    lost: 0,
    droppedDeliveries: 0,
    durationMs: 0,
  }
}
