// Whether a push would move a tag that the operator made immutable: it is refused where the tag
// points to another manifest, here or at the upstream that takes the push. A push of the manifest
// that it points to changes nothing, and is fine.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import { withPushErrors } from '../upstream-failure.ts'
import { immutableTag } from '../immutable-tag.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { PushWay } from '../push-refusal.ts'
import { pointsTo } from './learn-tags.ts'

export interface TaggedPush {
  readonly repository: Repository
  readonly digest: Digest
  readonly tags: readonly Tag[]
  /** Where tags of it point at the upstream that are not known here. */
  readonly learned?: ReadonlyMap<Tag, Digest>
}

/**
 * Certain only in the repository's turn. In `forward` the registry is asked, whose tags they are;
 * in `queue` what is known of it counts, and the delivery looks again.
 * @throws RegistryError DENIED; why the upstream gave no answer; StoreError
 */
export async function requireMovable(
  catalog: Catalog,
  way: PushWay,
  { repository, digest, tags, learned }: TaggedPush,
): Promise<void> {
  for (const tag of tags) {
    if (!way.policy.isImmutable(tag)) continue
    const at = await whereIs(tag)
    if (at !== undefined && at !== digest)
      throw immutableTag(repository, { tag, at, wanted: 'move' })
  }

  async function whereIs(tag: Tag): Promise<Digest | undefined> {
    const known = await catalog.findTag(repository, tag)
    // What waits for its delivery here is not at the upstream yet.
    if (way.mode !== 'forward' || known?.local === true) return known?.digest ?? learned?.get(tag)
    const { upstream } = way.namespace
    return withPushErrors(repository, () => pointsTo(upstream, repository.name, { tag }))
  }
}
