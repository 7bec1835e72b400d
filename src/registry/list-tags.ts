// end-8: the tags of a repository. The upstream's list is kept for a moment and given stale, with a warning, when the upstream
// fails; offline, what is known here is the list (R65–R70).
import { RegistryError } from '../oci/errors.ts'
import { type Repository, repositoryKey } from '../oci/reference.ts'
import type { ListPage, Source, TagsAnswer } from './answers.ts'
import type { ListSource, UpstreamLists } from './upstream-lists.ts'
import type { Namespaces } from './namespaces.ts'
import type { Catalog } from './ports/catalog.ts'
import { UpstreamError } from './ports/upstream.ts'
import { telling } from './upstream-failure.ts'

/** The list's key in the catalog. */
const KEY = 'tags'
/** A list is mutable; a minute old is what people accept (R70). */
const LONGEST_TTL_MS = 60_000
/** Tags read from the catalog at a time. */
const CATALOG_PAGE = 1_000

export interface ListTagsDeps {
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly lists: UpstreamLists
}

/** @throws RegistryError NAME_UNKNOWN for a repository that nobody knows */
export async function listTags(
  deps: ListTagsDeps,
  repository: Repository,
  page: ListPage,
): Promise<TagsAnswer> {
  return telling(repository, 'NAME_UNKNOWN', async () => {
    const { tags, source, warnings } = await allTags(deps, repository)
    const { after, limit } = page
    const start = after === undefined ? 0 : firstAfter(tags, after)
    const shown = tags.slice(start, start + limit)
    return { tags: shown, more: start + shown.length < tags.length, source, warnings }
  })
}

async function allTags(
  deps: ListTagsDeps,
  repository: Repository,
): Promise<{ tags: readonly string[]; source: Source; warnings: readonly string[] }> {
  const namespace = deps.namespaces.find(repository.registry)
  if (namespace === undefined || namespace.policy.offline) {
    const tags = await knownTags(deps.catalog, repository)
    if (tags.length > 0)
      return { tags, source: namespace === undefined ? 'local' : 'hit', warnings: [] }
    throw new RegistryError('NAME_UNKNOWN', `${repositoryKey(repository)} has no tags at this edge`)
  }
  const source: ListSource = {
    repository,
    key: KEY,
    ttlMs: Math.min(LONGEST_TTL_MS, namespace.policy.ttlMs),
    maxStaleMs: namespace.policy.maxStaleMs,
    ask: async () => JSON.stringify((await namespace.upstream.listTags(repository.name)).tags),
  }
  const list = await deps.lists.get(source)
  return { ...list, tags: parseTags(list.body) }
}

/** What this process or an earlier one wrote down. */
function parseTags(body: string): readonly string[] {
  const tags: unknown = JSON.parse(body)
  if (Array.isArray(tags)) return tags.filter(tag => typeof tag === 'string')
  throw new UpstreamError('invalid', 'a kept tag list is malformed')
}

async function knownTags(catalog: Catalog, repository: Repository): Promise<string[]> {
  const tags: string[] = []
  for (;;) {
    const after = tags.at(-1)
    const page = await catalog.listTags(repository, {
      limit: CATALOG_PAGE,
      ...(after === undefined ? {} : { after }),
    })
    tags.push(...page.map(({ tag }) => tag))
    if (page.length < CATALOG_PAGE) return tags
  }
}

/** The index of the first entry behind `after`, which need not be among them. */
function firstAfter(sorted: readonly string[], after: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) <= after) low = middle + 1
    else high = middle
  }
  return low
}
