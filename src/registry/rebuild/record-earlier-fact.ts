// A fact from before the catalog was lost that the one which was built then does not know: its
// bytes were gone, or it could not be read itself. A client was told of it, so it stays until they
// are back, and is recorded then as the rebuild would have recorded it.
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type Repository, repositoryKey } from '../../oci/reference.ts'
import { parseDelivery } from '../deliveries/delivery-payload.ts'
import { rowsOf } from '../pacing/pages.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { countedNumber } from '../ports/order.ts'
import type { Delivery } from '../ports/outbox.ts'
import type { Fact, FactStore, ListedFact } from '../ports/facts.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import { type KeptManifestFact, memberEdges } from '../facts/kept-manifest.ts'
import { type DeliveryFact, rebuildDelivery } from './rebuild-delivery.ts'
import { isKeptAsBlob, rebuildManifest, type RebuildManifestParts } from './rebuild-manifest.ts'
import { rebuildTag } from './rebuild-tag.ts'

export interface EarlierFactDeps extends RebuildManifestParts {
  readonly store: BlobStore
  readonly facts: FactStore
  readonly policies: RepositoryPolicies
  /** An entry for the outbox is in the catalog. */
  readonly queued: () => void
}

interface HowKnownDeps extends Pick<EarlierFactDeps, 'catalog'> {
  readonly store: Pick<BlobStore, 'find'>
  readonly facts: Pick<FactStore, 'has'>
}

type TagFact = Extract<Fact, { kind: 'tag' }>
type DeletedFact = Extract<Fact, { kind: 'deleted' }>

/**
 * From an earlier catalog, which is the only witness of what it says: whatever the living one does
 * not know, it may have missed.
 */
export type EarlierFact = ListedFact & { readonly isEarlier: true }

export function isEarlierFact(fact: ListedFact): fact is EarlierFact {
  return fact.isEarlier === true
}

/**
 * - `recorded`: the catalog has it now
 * - `superseded`: what came after it took it away
 * - `lost`: its bytes are still not here, which an event tells, or a fact that belongs to it cannot
 *   be read
 * - `waiting`: its upstream has the word, unless an entry turns up that is to carry it there
 *
 * MUST run in the repository's turn, for what the catalog does not know. Manifests before tags.
 * @throws StoreError
 */
export async function recordEarlierFact(
  deps: EarlierFactDeps,
  fact: EarlierFact,
): Promise<'recorded' | 'superseded' | 'lost' | 'waiting'> {
  // What is pushed or deleted from now on comes after it.
  const isHere = fact.kind === 'deleted' || (fact.kind === 'tag' && fact.imported !== true)
  const after = isHere ? countedNumber(fact.order) : 0
  if (after > 0) await deps.catalog.raiseSequence(after)
  if (fact.kind === 'delivery') return recordDelivery(deps, fact)
  if (fact.kind === 'deleted') return recordDeleted(deps, fact)
  const { kind, repository, digest } = fact
  if (await deps.facts.has({ kind: 'deleted', repository, digest })) return 'superseded'
  return kind === 'manifest' ? recordManifest(deps, fact) : recordTag(deps, fact)
}

async function recordDelivery(
  deps: EarlierFactDeps,
  fact: DeliveryFact,
): Promise<'recorded' | 'superseded' | 'lost'> {
  const outcome = await rebuildDelivery(deps, fact)
  if (outcome === 'recorded') deps.queued()
  return DELIVERY_OUTCOMES[outcome]
}

const DELIVERY_OUTCOMES = { recorded: 'recorded', dropped: 'superseded', unclear: 'lost' } as const

/**
 * One that could not be read when the catalog was built: what that made a member nothing but a fact
 * of the manifest or one that lists it did. Whoever pushed the same again since has taken the
 * tombstone away, or was cut off before; and what an upstream gave since is no business of it.
 */
async function recordDeleted(
  { facts, catalog }: EarlierFactDeps,
  { repository: key, digest }: DeletedFact,
): Promise<'recorded' | 'superseded'> {
  const repository = parseRepositoryKey(key)
  const manifest = await facts.find({ kind: 'manifest', repository: key, digest })
  const cameSince =
    manifest === undefined
      ? !(await isListedByKept({ facts, catalog }, repository, digest))
      : manifest !== 'unreadable' && manifest.isEarlier !== true
  if (cameSince) return 'superseded'
  await catalog.removeMember(repository, digest)
  return 'recorded'
}

/** What an upstream gave lists what it gave as well, and has no fact. */
async function isListedByKept(
  { facts, catalog }: Pick<EarlierFactDeps, 'facts' | 'catalog'>,
  repository: Repository,
  digest: Digest,
): Promise<boolean> {
  const key = repositoryKey(repository)
  const listers = rowsOf<Digest, Digest>(
    page => catalog.listListers(repository, digest, page),
    each => each,
  )
  for await (const lister of listers)
    if (await facts.has({ kind: 'manifest', repository: key, digest: lister })) return true
  return false
}

async function recordManifest(
  deps: EarlierFactDeps,
  fact: KeptManifestFact,
): Promise<'recorded' | 'lost'> {
  const { facts } = deps
  const { repository } = fact
  const isGone = (child: KeptManifestFact['digest']) =>
    facts.has({ kind: 'deleted', repository, digest: child })
  const blobs = await rebuildManifest(deps, fact, { isGone, sync: true })
  return blobs === undefined ? 'lost' : 'recorded'
}

async function recordTag(
  deps: EarlierFactDeps,
  fact: TagFact,
): Promise<'recorded' | 'superseded' | 'lost' | 'waiting'> {
  const { catalog, content, facts } = deps
  const { tag, repository: key, digest, atMs, order } = fact
  const repository = parseRepositoryKey(key)
  const manifest = await catalog.findManifest(repository, digest)
  if (manifest === undefined) {
    const hasFact = await facts.has({ kind: 'manifest', repository: key, digest })
    return hasFact ? 'lost' : 'superseded'
  }
  const entries = await catalog.listDeliveriesOf(key)
  const delivery = entries.find(entry => carries(entry, fact))
  if (delivery === undefined) {
    await rebuildTag(deps, fact, false)
    const known = await catalog.findTag(repository, tag)
    const isKnown = fact.imported ? known?.digest === digest : known?.local === true
    return isKnown ? 'recorded' : 'waiting'
  }
  const ordered = order === undefined ? {} : { order }
  const more = { tags: [tag], hold: 'undelivered', delivery, atMs, ...ordered } as const
  await content.pushKnown(repository, digest, more)
  return 'recorded'
}

/** The entry of the same push. */
function carries({ payload, createdAtMs }: Delivery, { tag, digest, atMs }: TagFact): boolean {
  if (createdAtMs !== atMs) return false
  const delivery = parseDelivery(payload)
  return delivery?.digest === digest && delivery.tags.some(each => each.tag === tag)
}

/**
 * How much of it the catalog was told, of a manifest that it knows:
 * - `all`: it can say the fact itself from now on
 * - `lacking`: some bytes are gone as they were when it was built, or were never here
 * - `in part`: a blob has come back since; or the manifest itself has, by way of another repository
 *
 * @throws StoreError
 */
export async function howKnown(
  { catalog, store, facts }: HowKnownDeps,
  fact: KeptManifestFact,
): Promise<'all' | 'lacking' | 'in part'> {
  const { repository: key, digest } = fact
  const repository = parseRepositoryKey(key)
  const manifest = await catalog.findManifest(repository, digest)
  let isLacking = false
  for (const edge of memberEdges(fact, manifest?.edges ?? [])) {
    const { child, sizeBytes } = edge
    if ((await catalog.findMember(repository, child)) === undefined) {
      if (!(await facts.has({ kind: 'deleted', repository: key, digest: child }))) return 'in part'
    } else if (isKeptAsBlob(edge) && (await catalog.findContent(child)) === undefined) {
      if ((await store.find(child, sizeBytes)) !== undefined) return 'in part'
      isLacking = true
    }
  }
  return isLacking ? 'lacking' : 'all'
}
