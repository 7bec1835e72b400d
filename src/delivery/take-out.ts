// Takes a delivered entry out of the outbox, and with it the facts that were kept on disk for its
// sake: what the upstream has now would be learned from there again, should the catalog be lost.
import { type Repository, repositoryKey } from '../oci/reference.ts'
import { allCarriedBy } from '../registry/delivery-payload.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { FactIdentity, FactStore } from '../registry/ports/facts.ts'
import type { RepositoryPolicies } from '../registry/repository-policy.ts'
import type { Settled } from './carrier.ts'

export interface TakeOutParts {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly policies: RepositoryPolicies
  readonly clock: Clock
  /**
   * Told before the tags are settled: what is kept of the upstream's lists has them from now on.
   */
  readonly delivered?: (repository: Repository, what: Settled) => Promise<void>
}

/**
 * MUST run in the repository's turn: a push that is under way has written its facts, and not yet
 * its row, by which it is known here.
 * @throws StoreError; then the entry is still there
 */
export async function takeOut(
  parts: TakeOutParts,
  entry: Delivery,
  settled: Settled | undefined,
): Promise<void> {
  const { catalog, facts, clock } = parts
  const { id } = entry
  // The facts first: what is left of them after a crash would be delivered once more when a catalog
  // is built from them, long after.
  await facts.remove([{ kind: 'delivery', id }])
  // Not together: an entry that is left without its manifest would be told as lost.
  await facts.remove(await unneeded(parts, entry, settled))
  if (settled !== undefined) await parts.delivered?.(settled.repository, settled)
  await catalog.removeDelivery(
    id,
    settled && { ...settled, atMs: clock.nowMs(), isKept: isForGood(parts, settled.repository) },
  )
  if (settled !== undefined) await pointLeft(parts, settled)
}

/**
 * Tags that a later push has at the upstream point there here as well, unless something else was
 * learned of them meanwhile.
 */
async function pointLeft(
  { catalog, clock }: TakeOutParts,
  { repository, digest, left }: Settled,
): Promise<void> {
  for (const { tag, at } of left)
    if ((await catalog.findTag(repository, tag))?.digest === digest)
      await catalog.recordTag(repository, tag, at, { checkedAtMs: clock.nowMs() })
}

/** The repository may have been told to keep what is pushed since: then its facts are for good. */
function isForGood({ policies }: Pick<TakeOutParts, 'policies'>, repository: Repository): boolean {
  return policies.find(repository).push === 'store'
}

async function unneeded(
  { catalog, policies }: TakeOutParts,
  { id, key }: Delivery,
  settled: Settled | undefined,
): Promise<FactIdentity[]> {
  if (settled === undefined || isForGood({ policies }, settled.repository)) return []
  const entries = await catalog.listDeliveriesOf(key)
  const others = allCarriedBy(entries.filter(entry => entry.id !== id))
  const repository = repositoryKey(settled.repository)
  const { digest } = settled
  const isNeeded = others.digests.has(digest)
  const manifests: FactIdentity[] = isNeeded ? [] : [{ kind: 'manifest', repository, digest }]
  const tags = settled.tags
    .filter(tag => !others.tags.has(tag))
    .map(tag => ({ kind: 'tag', repository, tag }) as const)
  return [...manifests, ...tags]
}
