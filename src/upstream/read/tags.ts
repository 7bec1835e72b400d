// The tag list of a repository, whole: sorted and without duplicates, since upstreams promise
// neither (R68).
import { type RepositoryName, type Tag, tagFrom } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { TagList } from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { responseError } from '../connect/response-errors.ts'
import { requestAt, type Work } from '../endpoint/endpoints.ts'
import { readPages } from './pages.ts'
import type { RegistryResponse } from '../endpoint/session.ts'

/** Some 20 MiB of memory; the largest known repositories have a tenth of it. */
const TAGS_MAX = 200_000

/** `pageMax` is the largest `n` that the registry takes (R69). */
export function listTags(name: RepositoryName, clock: Clock, pageMax: number): Work<TagList> {
  return async (endpoint, { signal }) => {
    const at = requestAt(endpoint, name, 'tags/list', { n: String(pageMax) })
    const headers = { accept: 'application/json' }
    const request = { call: 'tags', lane: 'api', method: 'GET', ...at, headers } as const
    const failure = (response: RegistryResponse): Promise<UpstreamError> =>
      responseError(response, {
        what: 'a tag list',
        nowMs: clock.nowMs(),
        redirected: response.redirected,
      })
    const first = await endpoint.send(request, signal)
    if (first.status !== 200) throw await failure(first)

    const tags = new Set<Tag>()
    for await (const { document, response } of readPages(endpoint, request, first, {
      signal,
      failure,
    })) {
      for (const tag of tagsIn(document, response)) tags.add(tag)
      if (tags.size > TAGS_MAX) {
        throw new UpstreamError('invalid', `${response.url.host} lists more than ${TAGS_MAX} tags`)
      }
    }
    return { tags: [...tags].sort() }
  }
}

/**
 * `null` is how some write an empty list, or leave it out beside the name; entries that are no tags
 * cannot be asked for anyway.
 * @throws UpstreamError invalid for an object that is no list of tags
 */
function tagsIn({ name, tags }: Record<string, unknown>, { url }: RegistryResponse): Tag[] {
  const isEmpty = tags === null || (tags === undefined && typeof name === 'string')
  if (isEmpty) return []
  if (!Array.isArray(tags)) {
    throw new UpstreamError('invalid', `${url.host} sent a list of tags that is none`)
  }
  return tags
    .map((tag: unknown) => (typeof tag === 'string' ? tagFrom(tag) : undefined))
    .filter(tag => tag !== undefined)
}
