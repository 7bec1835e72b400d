// Whether a push would move a tag that the operator made immutable: it is refused where the tag
// points to another manifest, here or at the upstream that takes the push, also where that manifest
// is lost. A push of the manifest that it points to changes nothing, and is fine; one of the same
// bytes by another media type is none of it.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { withPushErrors } from '../refusals/upstream-failure.ts'
import { immutableTag } from '../refusals/immutable-tag.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { FactStore } from '../ports/facts.ts'
import type { PushWay } from '../refusals/push-refusal.ts'
import { findUnknownTag } from '../facts/unknown-facts.ts'
import { pointsTo } from './learn-tags.ts'
import { requireSameType, type TypedPush } from './require-same-type.ts'

export interface MovableDeps {
  readonly catalog: Pick<Catalog, 'findMember' | 'findTag'>
  readonly facts: Pick<FactStore, 'find'>
}

export interface TaggedPush extends TypedPush {
  readonly tags: readonly Tag[]
  /** Where tags of it point at the upstream that are not known here. */
  readonly learned?: ReadonlyMap<Tag, Digest>
}

/**
 * Certain only in the repository's turn. In `forward` the registry is asked, whose tags they are;
 * in `queue` what is known of it counts, and the delivery looks again.
 * @throws RegistryError DENIED, MANIFEST_INVALID; why the upstream gave no answer; StoreError
 */
export async function requireMovable(
  { catalog, facts }: MovableDeps,
  way: PushWay,
  push: TaggedPush,
): Promise<void> {
  const { repository, digest, tags, learned } = push
  for (const tag of tags) {
    if (!way.policy.isImmutable(tag)) continue
    const at = await whereIs(tag)
    if (at !== undefined && at !== digest)
      throw immutableTag(repository, { tag, at, wanted: 'move' })
  }
  await requireSameType(catalog, way, push)

  async function whereIs(tag: Tag): Promise<Digest | undefined> {
    const known = await catalog.findTag(repository, tag)
    // What waits for its delivery here is not at the upstream yet.
    if (known?.local === true) return known.digest
    if (way.mode !== 'forward')
      return (await findLost(facts, repository, tag)) ?? known?.digest ?? learned?.get(tag)
    const { upstream } = way.namespace
    return withPushErrors(repository, () => pointsTo(upstream, repository.name, { tag }))
  }
}

/** @throws RegistryError DENIED where it cannot be read; StoreError */
async function findLost(
  facts: MovableDeps['facts'],
  repository: Repository,
  tag: Tag,
): Promise<Digest | undefined> {
  const digest = await findUnknownTag(facts, repository, tag)
  if (digest !== 'unreadable') return digest
  throw new RegistryError(
    'DENIED',
    `the tag ${tag} of ${repositoryKey(repository)} is immutable, and what it points to cannot be read: give what is new another tag, or let the operator of this registry look at its log`,
  )
}
