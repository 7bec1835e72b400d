// The lists: `_catalog`, the repositories that are here, never an upstream's own, and that who asks
// may see (R71), and the tags of a repository (end-8; R65–R67).
import { parseNamePath } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { formatNextLink, type Paging, parsePaging } from '../../oci/paging.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { RepositoriesAnswer } from '../../registry/answers.ts'
import type { Registry } from '../../registry/use-cases.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { type Context, isAllowed, type NamedContext } from '../context.ts'
import { LIST_LIMITS } from '../limits.ts'
import { REVALIDATE, warningLines } from './headers.ts'

/** Read at once where some of those before were hidden. */
const HIDDEN_ROWS = 100

export async function answerCatalog(context: Context): Promise<Answer> {
  const { target } = context
  const page = parsePaging(target.query, LIST_LIMITS)
  const { repositories, more } = await listShown(context, page)
  const urlPath = target.leading === undefined ? '/v2/_catalog' : `/${target.leading}/v2/_catalog`
  const last = more ? repositories.at(-1) : undefined
  return jsonAnswer(
    { repositories },
    { 'Cache-Control': REVALIDATE, Link: nextLink(urlPath, target.query, { page, last }) },
  )
}

/**
 * Of the repositories those that who asks may see. A page is as long as it would be without the
 * others, and only one that is shown tells that there is more.
 */
async function listShown(context: Context, page: Paging): Promise<RepositoriesAnswer> {
  const { registry, access, principal } = context
  const { limit } = page
  const shown: string[] = []
  let { after } = page
  let rows = limit + 1
  for (;;) {
    const read = await registry.listRepositories({ limit: rows, after })
    const last = read.repositories.at(-1)
    shown.push(...read.repositories.filter(name => isShown(context, name)))
    if (shown.length > limit) return { repositories: shown.slice(0, limit), more: true }
    if (!read.more || last === undefined) return { repositories: shown, more: false }
    after = last
    const hidden = shown.at(-1) === last ? undefined : repositoryOf(registry, last)
    if (hidden !== undefined) after = access.nextShown(principal, repositoryKey(hidden))
    if (after === undefined) return { repositories: shown, more: false }
    rows = Math.max(rows, HIDDEN_ROWS)
  }
}

function isShown(context: Context, name: string): boolean {
  const repository = repositoryOf(context.registry, name)
  if (repository === undefined) return false
  return isAllowed(context, 'list', repository) && isAllowed(context, 'pull', repository)
}

/** As it is listed, a name leads there by itself; unless a reload came in between. */
function repositoryOf(registry: Registry, name: string): Repository | undefined {
  const endpoint = { kind: 'tags', path: parseNamePath(name) } as const
  const target = { endpoint, leading: undefined, query: new URLSearchParams() }
  try {
    return registry.route(target, undefined).repository
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

export async function answerTags({
  exchange,
  registry,
  routed,
  target,
}: NamedContext): Promise<Answer> {
  const page = parsePaging(target.query, LIST_LIMITS)
  const { tags, more, source, warnings } = await registry.listTags(routed.repository, page)
  exchange.record.source = source
  const last = more ? tags.at(-1) : undefined
  return jsonAnswer(
    { name: routed.spelled, tags },
    {
      'Cache-Control': REVALIDATE,
      'X-Entrepot-Source': source,
      Link: nextLink(`${routed.urlPrefix}/tags/list`, target.query, { page, last }),
      Warning: warningLines(warnings),
    },
  )
}

/** Undefined without a last entry: nobody could go on after an empty page. */
function nextLink(
  urlPath: string,
  query: URLSearchParams,
  { page, last }: { readonly page: Paging; readonly last: string | undefined },
): string | undefined {
  return last === undefined
    ? undefined
    : formatNextLink(urlPath, query, { limit: page.limit, last })
}
