// What was brought to an upstream a moment ago is in its lists from now on, also in those that are kept here for a while (R70, R81, R115).
import type { Digest } from '../oci/digest.ts'
import type { ReferrerDescriptor } from '../oci/manifest.ts'
import type { Repository, Tag } from '../oci/reference.ts'
import { referrersKey, withReferrer } from './list-referrers.ts'
import { TAGS_KEY, withTags } from './list-tags.ts'
import type { UpstreamLists } from './upstream-lists.ts'

export interface ShowDeps {
  readonly lists: UpstreamLists
}

/** MUST run in the repository's turn. */
export async function showAtUpstream(
  { lists }: ShowDeps,
  repository: Repository,
  brought: {
    readonly tags: readonly Tag[]
    readonly referrer: ReferrerDescriptor
    readonly subject: Digest | undefined
  },
): Promise<void> {
  const { tags, referrer, subject } = brought
  if (tags.length > 0)
    await lists.change({ repository, key: TAGS_KEY }, body => withTags(body, tags))
  if (subject !== undefined)
    await lists.change({ repository, key: referrersKey(subject) }, body =>
      withReferrer(body, referrer),
    )
}
