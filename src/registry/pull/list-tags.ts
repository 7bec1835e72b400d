// end-8: the tags of a repository. The upstream's list is kept for a moment and given stale, with a
// warning, when the upstream fails; offline, what is known here is the list (R65–R70). What was
// pushed here and is not there yet is in every list (R115).
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { Source, TagsAnswer } from '../answers.ts'
import type { ListPage } from '../use-cases.ts'
import type { ListSource, UpstreamLists } from './upstream-lists.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { PageRequest, RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import { withClientErrors } from '../refusals/upstream-failure.ts'

/** The list's key in the catalog. */
export const TAGS_KEY = 'tags'
/** A list is mutable; a minute old is what people accept (R70). */
const LONGEST_TTL_MS = 60_000

export interface ListTagsDeps {
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly lists: UpstreamLists
  readonly policies: RepositoryPolicies
}

/**
 * Of what is listed here no more is read than the page shows, however many tags there are; the list
 * of an upstream is one text.
 *
 * @throws RegistryError NAME_UNKNOWN for a repository that nobody knows
 */
export async function listTags(
  deps: ListTagsDeps,
  repository: Repository,
  { after, limit }: ListPage,
): Promise<TagsAnswer> {
  return withClientErrors(repository, 'NAME_UNKNOWN', async () => {
    // One more than is shown tells whether there is more.
    const wanted = { ...(after === undefined ? {} : { after }), limit: limit + 1 }
    const { tags, source, warnings } = await findTags(deps, repository, wanted)
    return { tags: tags.slice(0, limit), more: tags.length > limit, source, warnings }
  })
}

/** Sorted, all of them behind `page.after`; at least `page.limit` where there are so many. */
async function findTags(
  deps: ListTagsDeps,
  repository: Repository,
  page: PageRequest,
): Promise<{ tags: readonly string[]; source: Source; warnings: readonly string[] }> {
  const { catalog } = deps
  const namespace = deps.namespaces.find(repository.registry)
  if (namespace === undefined || namespace.policy.offline) {
    const read = (part: PageRequest) => catalog.listTags(repository, part)
    const tags = await readTags(read, page)
    if (tags.length > 0 || (await isAny(read)) || (await isHeld(catalog, repository)))
      return { tags, source: namespace === undefined ? 'local' : 'hit', warnings: [] }
    throw new RegistryError('NAME_UNKNOWN', `${repositoryKey(repository)} has no tags at this edge`)
  }
  const source: ListSource = {
    repository,
    key: TAGS_KEY,
    ttlMs: Math.min(LONGEST_TTL_MS, namespace.policy.ttlMs),
    maxStaleMs: namespace.policy.maxStaleMs,
    ask: async how =>
      JSON.stringify((await namespace.upstream.listTags(repository.name, how)).tags),
  }
  const readLocal = (part: PageRequest) => catalog.listLocalTags(repository, part)
  const local = await readTags(readLocal, page)
  try {
    const list = await deps.lists.get(source)
    return { ...list, tags: merge(onPage(parseTags(list.body), page), local) }
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const some = local.length > 0 || (await isAny(readLocal))
    if (!some && !(await isKeptHere(deps, repository, error))) throw error
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

type ReadPage = (page: PageRequest) => Promise<readonly RecordedTag[]>

async function readTags(read: ReadPage, page: PageRequest): Promise<readonly Tag[]> {
  return (await read(page)).map(({ tag }) => tag)
}

async function isAny(read: ReadPage): Promise<boolean> {
  return (await read({ limit: 1 })).length > 0
}

/**
 * What stays here is at no upstream; so one that does not know the repository says nothing of it.
 */
async function isKeptHere(
  { catalog, policies }: ListTagsDeps,
  repository: Repository,
  { failure }: UpstreamError,
): Promise<boolean> {
  const stays = failure === 'not-found' && policies.find(repository).push === 'store'
  return stays && isHeld(catalog, repository)
}

/** Is it known here? It may have manifests and no tag, or nothing any more (R285). */
async function isHeld(catalog: Catalog, repository: Repository): Promise<boolean> {
  const key = repositoryKey(repository)
  // The greatest text before the key: nothing in a key is greater than a tilde.
  const after = `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`
  return (await catalog.listRepositories({ after, limit: 1 })).includes(key)
}

/** What of `sorted` is on the page. `after` need not be among them. */
function onPage(sorted: readonly string[], { after, limit }: PageRequest): readonly string[] {
  let low = 0
  let high = after === undefined ? 0 : sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) <= (after as string)) low = middle + 1
    else high = middle
  }
  return sorted.slice(low, low + limit)
}
