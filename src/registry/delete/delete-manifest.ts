// end-9: a tag goes, and its manifest stays; or a manifest goes, with every tag that points to it,
// at once (R118). Out of this repository only, and never at the upstream (R119): what was not
// delivered yet is not delivered any more. The facts come first: what a client was told is gone
// must not come back with a catalog that is built from them.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  formatReference,
  type Reference,
  type Repository,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { requireDeletable } from './delete-refusal.ts'
import { requireUnbound } from './require-unbound.ts'
import type { DeleteOptions, RemoveOptions } from '../ports/catalog-pushes.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { FactIdentity, FactStore } from '../ports/facts.ts'
import { nextOrder } from '../ports/order.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import { restoreFacts, type RestoreDeps } from '../facts/restore-facts.ts'
import type { Turns } from '../../async/turns.ts'
import { type UnknownDeps, UnknownFacts } from '../facts/unknown-facts.ts'
import { type Withdrawn, withdrawDeliveries } from './withdraw-deliveries.ts'
import { rowsOf } from '../pacing/pages.ts'

export interface DeleteManifestDeps extends RestoreDeps, UnknownDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly clock: Clock
  readonly policies: RepositoryPolicies
  readonly turns: Turns
}

/**
 * Durable when it resolves.
 * @throws RegistryError UNSUPPORTED, MANIFEST_UNKNOWN, DENIED; StoreError
 */
export async function deleteManifest(
  deps: DeleteManifestDeps,
  repository: Repository,
  reference: Reference,
): Promise<void> {
  requireDeletable(deps.policies, repository)
  await deps.turns.take(repositoryKey(repository), async () => {
    const isKnown =
      reference.kind === 'tag'
        ? await deps.catalog.findTag(repository, reference.tag)
        : await deps.catalog.findManifest(repository, reference.digest)
    if (isKnown === undefined) throw notHere(repository, reference)
    await requireUnbound(deps, repository, reference)
    if (reference.kind === 'tag') await removeTag(deps, repository, reference.tag)
    else {
      const how = { followedSinceMs: deps.clock.nowMs() }
      await removeManifest(deps, repository, reference.digest, how)
    }
  })
}

/** MUST run in the repository's turn. Durable when it resolves. @throws StoreError */
export async function removeTag(
  deps: DeleteManifestDeps,
  repository: Repository,
  tag: Tag,
): Promise<void> {
  const { catalog, facts } = deps
  const withdrawn = await withdrawDeliveries(catalog, repository, {
    tags: new Set([tag]),
    digest: undefined,
  })
  const gone = { kind: 'tag', repository: repositoryKey(repository), tag } as const
  await orRestore(deps, [gone, ...deliveryFacts(withdrawn)], async () => {
    await facts.remove([gone])
    await changeFacts(facts, withdrawn)
    await catalog.deleteTag(repository, tag, optionsOf(withdrawn))
    await forgetDeliveries(facts, withdrawn)
  })
}

export interface Removing extends Pick<RemoveOptions, 'followedSinceMs' | 'unlessLeased'> {
  /** Default now; `at once`: nobody counts on a grace. */
  readonly deletedAtMs?: number | 'at once'
  /** It is lost: these lead to it, as facts alone tell. Default it is not. */
  readonly factTags?: readonly Tag[]
}

/**
 * With all its tags. MUST run in the repository's turn. Durable when it resolves; false when it
 * stays, as `unlessLeased` says. Default nothing follows it.
 * @throws StoreError
 */
export async function removeManifest(
  deps: DeleteManifestDeps,
  repository: Repository,
  digest: Digest,
  how: Removing = {},
): Promise<boolean> {
  const { catalog, facts } = deps
  const atMs = deps.clock.nowMs()
  const { deletedAtMs = atMs, factTags, ...options } = how
  const deleting = deletedAtMs === 'at once' ? options : { ...options, deletedAtMs }
  const known = await tagsTo(catalog, repository, digest)
  const tags = new Set([...known.map(({ tag }) => tag), ...(factTags ?? [])])
  const withdrawn = await withdrawDeliveries(catalog, repository, { tags, digest })
  const key = repositoryKey(repository)
  const deleted = { kind: 'deleted', repository: key, digest } as const
  const manifest = { kind: 'manifest', repository: key, digest } as const
  const gone = [...tags].map(tag => ({ kind: 'tag', repository: key, tag }) as const)
  const identities = [deleted, manifest, ...gone, ...deliveryFacts(withdrawn)]
  const isLost = factTags !== undefined
  return orRestore(deps, identities, async restore => {
    const tombstone = { ...deleted, atMs, order: nextOrder(catalog) }
    await facts.write([tombstone], { takesAway: true })
    await facts.remove(isLost ? gone : [manifest, ...gone])
    await changeFacts(facts, withdrawn)
    if (
      !(await catalog.removeMember(repository, digest, { ...optionsOf(withdrawn), ...deleting }))
    ) {
      await restore()
      return false
    }
    await forgetDeliveries(facts, withdrawn)
    // Nothing else tells of what is lost: until all else is done, it can be deleted once more.
    if (isLost) await facts.remove([manifest])
    return true
  })
}

async function orRestore<Result>(
  deps: DeleteManifestDeps,
  identities: readonly FactIdentity[],
  work: (restore: () => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const unknown = await UnknownFacts.of(deps, identities)
  const restore = () => restoreFacts(deps, { identities, atMs: deps.clock.nowMs(), unknown })
  try {
    return await work(restore)
  } catch (error) {
    await restore()
    throw error
  }
}

function deliveryFacts({ drops, rests }: Withdrawn): readonly FactIdentity[] {
  return [...drops, ...rests.map(({ id }) => id)].map(id => ({ kind: 'delivery', id }))
}

function optionsOf({ drops, rests }: Withdrawn): DeleteOptions {
  return { dropDeliveries: drops, changeDeliveries: rests }
}

/** After those of the tags: an entry brings no tag back whose own fact is gone. */
async function changeFacts(facts: FactStore, { rests }: Withdrawn): Promise<void> {
  if (rests.length === 0) return
  const changed = rests.map(rest => ({ kind: 'delivery' as const, ...rest }))
  await facts.write(changed, { takesAway: true })
}

/** After the entries themselves: until those are gone, they are what was acknowledged. */
async function forgetDeliveries(facts: FactStore, { drops }: Withdrawn): Promise<void> {
  if (drops.length > 0) await facts.remove(drops.map(id => ({ kind: 'delivery', id })))
}

async function tagsTo(
  catalog: Catalog,
  repository: Repository,
  digest: Digest,
): Promise<readonly RecordedTag[]> {
  const found: RecordedTag[] = []
  const tags = rowsOf<RecordedTag, Tag>(
    page => catalog.listTagsTo(repository, digest, page),
    ({ tag }) => tag,
  )
  for await (const each of tags) found.push(each)
  return found
}

function notHere(repository: Repository, reference: Reference): RegistryError {
  const what = formatReference(reference)
  return new RegistryError(
    'MANIFEST_UNKNOWN',
    `${repositoryKey(repository)} has no ${what} at this edge`,
  )
}
