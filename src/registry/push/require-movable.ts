// Whether a push would move a tag that the operator made immutable: it is refused where the tag
// points to another manifest, here or at the upstream that takes the push. A push of the manifest
// that it points to changes nothing, and is fine; one of the same bytes by another media type is
// none of it.
import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'
import { withPushErrors } from '../upstream-failure.ts'
import { immutableTag } from '../immutable-tag.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { PushWay } from '../push-refusal.ts'
import { pointsTo } from './learn-tags.ts'
import { requireSameType, type TypedPush } from './require-same-type.ts'

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
  catalog: Catalog,
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
    if (way.mode !== 'forward' || known?.local === true) return known?.digest ?? learned?.get(tag)
    const { upstream } = way.namespace
    return withPushErrors(repository, () => pointsTo(upstream, repository.name, { tag }))
  }
}
