// Takes a delivered entry out of the outbox, and with it the facts that were kept on disk for its
// sake: what the upstream has now would be learned from there again, should the catalog be lost.
import { filterFew, mapFew } from '../async/few-at-once.ts'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/reference.ts'
import { allCarriedBy } from '../registry/deliveries/delivery-payload.ts'
import { INDEX_DEPTH_MAX, isListed } from '../registry/content/edges.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { FactIdentity, FactStore } from '../registry/ports/facts.ts'
import type { RepositoryPolicies } from '../registry/routing/repository-policy.ts'
import type { Settled } from './carrier.ts'

/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

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
 * @throws StoreError; then the entry is still there, or facts of what it listed are, which a start
 * removes that compares them
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
  if (settled === undefined) return
  await forgetBelow(parts, entry, settled)
  await pointLeft(parts, settled)
}

/**
 * A push of an index tells of what that lists as well. Once the entry is gone, so that the catalog
 * says what nothing there holds any more.
 */
async function forgetBelow(
  parts: TakeOutParts,
  { key }: Delivery,
  { repository, digest }: Settled,
): Promise<void> {
  const { catalog, facts } = parts
  if (isForGood(parts, repository)) return
  const others = allCarriedBy(await catalog.listDeliveriesOf(key))
  const below = await manifestsBelow(catalog, repository, digest)
  const known = below
    .filter(each => !others.digests.has(each))
    .map(
      each => ({ kind: 'manifest', repository: repositoryKey(repository), digest: each }) as const,
    )
  const outdated = await filterFew(known, LOOKS_AT_ONCE, async identity => {
    if (!(await facts.has(identity))) return false
    const each = identity.digest
    if ((await catalog.holdsOf(repository, each)).length > 0) return false
    const content = await catalog.findContent(each)
    return content?.contentClass !== 'kept' || (await catalog.isKeptForOthers(repository, each))
  })
  if (outdated.length > 0) await facts.remove(outdated)
}

async function manifestsBelow(
  catalog: Catalog,
  repository: Repository,
  digest: Digest,
): Promise<readonly Digest[]> {
  const found = new Set([digest])
  const top = await catalog.findManifest(repository, digest)
  let level = top === undefined ? [] : [top]
  for (let depth = 0; depth <= INDEX_DEPTH_MAX && level.length > 0; depth += 1) {
    const children = new Set(level.flatMap(({ edges }) => edges.filter(isListed).map(e => e.child)))
    const fresh = [...children].filter(child => !found.has(child))
    const manifests = await mapFew(fresh, LOOKS_AT_ONCE, child =>
      catalog.findManifest(repository, child),
    )
    level = manifests.filter(each => each !== undefined)
    for (const each of level) found.add(each.digest)
  }
  found.delete(digest)
  return [...found]
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
