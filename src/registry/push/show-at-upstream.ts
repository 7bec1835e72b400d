// What was brought to an upstream a moment ago is in its lists from now on, also in those that are
// kept here for a while (R70, R81, R115).
import type { Digest } from '../../oci/digest.ts'
import { parseManifest, referrerDescriptor } from '../../oci/manifest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import { bestEffort } from '../best-effort.ts'
import { referrersKey, withReferrer } from '../pull/list-referrers.ts'
import { TAGS_KEY, withTags } from '../pull/list-tags.ts'
import type { ManifestContents } from '../pull/manifest-content.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { UpstreamLists } from '../pull/upstream-lists.ts'

export interface ShowDeps {
  readonly lists: UpstreamLists
  readonly contents: ManifestContents
  readonly note: NoteEvent
}

/**
 * MUST run in the repository's turn, with the manifest recorded, and of a delivery before its tags
 * are settled: so they are in the list all the time. A disk that fails costs a list that is as old
 * as lists may be.
 */
export async function showAtUpstream(
  { lists, contents, note }: ShowDeps,
  repository: Repository,
  { digest, tags }: { readonly digest: Digest; readonly tags: readonly Tag[] },
): Promise<void> {
  await bestEffort(note, async () => {
    if (tags.length > 0)
      await lists.change({ repository, key: TAGS_KEY }, body => withTags(body, tags))
    const content = await contents.here(repository, digest)
    if (content === undefined) return
    const { bytes, recorded } = content
    const manifest = parseManifest(bytes, recorded.mediaType)
    if (manifest.subject?.digest === undefined) return
    const referrer = referrerDescriptor(manifest, digest, bytes.length)
    await lists.change({ repository, key: referrersKey(manifest.subject.digest) }, body =>
      withReferrer(body, referrer),
    )
  })
}
