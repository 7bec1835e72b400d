// end-8: the tags of a repository. The upstream's list is kept for a moment and given stale, with a warning, when the upstream
// fails; offline, what is known here is the list (R65–R70). What was pushed here and is not there yet is in every list (R115).
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { ListPage, Source, TagsAnswer } from '../answers.ts'
import type { ListSource, UpstreamLists } from './upstream-lists.ts'
import type { Namespaces } from '../namespaces.ts'
import type { Catalog, Page, TagFact } from '../ports/catalog.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { telling } from '../upstream-failure.ts'

/** The list's key in the catalog. */
export const TAGS_KEY = 'tags'
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
    const tags = await readTags(page => deps.catalog.listTags(repository, page))
    if (tags.length > 0 || (await isHeld(deps.catalog, repository)))
      return { tags, source: namespace === undefined ? 'local' : 'hit', warnings: [] }
    throw new RegistryError('NAME_UNKNOWN', `${repositoryKey(repository)} has no tags at this edge`)
  }
  const source: ListSource = {
    repository,
    key: TAGS_KEY,
    ttlMs: Math.min(LONGEST_TTL_MS, namespace.policy.ttlMs),
    maxStaleMs: namespace.policy.maxStaleMs,
    ask: async () => JSON.stringify((await namespace.upstream.listTags(repository.name)).tags),
  }
  const local = await readTags(page => deps.catalog.listLocalTags(repository, page))
  try {
    const list = await deps.lists.get(source)
    return { ...list, tags: merge(parseTags(list.body), local) }
  } catch (error) {
    if (local.length === 0 || !(error instanceof UpstreamError)) throw error
    return { tags: local, source: 'local', warnings: warningsOf(repository, error) }
  }
}

/** An upstream that does not know the repository yet is no reason to warn anybody. */
function warningsOf({ registry }: Repository, { failure }: UpstreamError): readonly string[] {
  return failure === 'not-found'
    ? []
    : [`${registry} failed (${failure}); only the tags that were pushed here are listed`]
}

/** The kept list with `tags` in it: they were pushed to the upstream a moment ago. */
export function withTags(body: string, tags: readonly Tag[]): string {
  return JSON.stringify(merge(parseTags(body), tags))
}

function merge(tags: readonly string[], more: readonly string[]): readonly string[] {
  return more.length === 0 ? tags : [...new Set([...tags, ...more])].sort()
}

/** What this process or an earlier one wrote down. */
function parseTags(body: string): readonly string[] {
  const tags: unknown = JSON.parse(body)
  if (Array.isArray(tags)) return tags.filter(tag => typeof tag === 'string')
  throw new UpstreamError('invalid', 'a kept tag list is malformed')
}

async function readTags(read: (page: Page) => Promise<readonly TagFact[]>): Promise<Tag[]> {
  const tags: Tag[] = []
  for (;;) {
    const after = tags.at(-1)
    const page = await read({ limit: CATALOG_PAGE, ...(after === undefined ? {} : { after }) })
    tags.push(...page.map(({ tag }) => tag))
    if (page.length < CATALOG_PAGE) return tags
  }
}

/** Was anything pushed to it that is still there? A repository may have manifests and no tag. */
async function isHeld(catalog: Catalog, repository: Repository): Promise<boolean> {
  const key = repositoryKey(repository)
  // The greatest text before the key: nothing in a key is greater than a tilde.
  const after = `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`
  return (await catalog.listRepositories({ after, limit: 1 })).includes(key)
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
