// What is remembered of repositories in front of the catalog, forgotten: when an operator purges
// them, or a client deletes of them. The catalog's epochs tell of the rest.
import type { Flights } from '../async/flights.ts'
import type { RepositoryKey } from '../oci/reference.ts'
import type { Namespaces } from './routing/namespaces.ts'
import { isQuestionOf, type NegativeCache } from './negative-cache.ts'
import type { UpstreamBlobHead } from './ports/upstream-content.ts'
import type { ManifestContents } from './pull/manifest-content.ts'
import type { Prefetch } from './pull/prefetch.ts'
import type { TagResolver } from './pull/resolve-tag.ts'
import type { UpstreamLists } from './pull/upstream-lists.ts'

/** Of repositories. */
export type IsMeant = (key: RepositoryKey) => boolean

export interface Remembering {
  readonly namespaces: Pick<Namespaces, 'list'>
  readonly prefetch: Pick<Prefetch, 'forget'>
  readonly heads: Flights<UpstreamBlobHead>
  readonly tags: Pick<TagResolver, 'forget'>
  readonly contents: Pick<ManifestContents, 'forget'>
  readonly lists: Pick<UpstreamLists, 'forget'>
  readonly negative: Pick<NegativeCache, 'forgetAll'>
}

/** What upstreams are asked now is given to who asked, and neither written down nor joined. */
export function forget(remembering: Remembering, isMeant: IsMeant): void {
  const { namespaces, prefetch, heads, tags, contents, lists, negative } = remembering
  heads.closeAll(isQuestionOf(isMeant))
  for (const each of [prefetch, tags, contents, lists]) each.forget(isMeant)
  for (const { upstream } of namespaces.list()) {
    const { registry } = upstream
    upstream.forgetTokens(name => isMeant(`${registry}/${name}` as RepositoryKey))
  }
  negative.forgetAll(isMeant)
}
