// The lists: `_catalog`, the repositories that are here and never an upstream's own (R71), and the
// tags of a repository (end-8; R65–R67).
import { formatNextLink, type Paging, parsePaging } from '../../oci/paging.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import type { Context, NamedContext } from '../context.ts'
import { LIST_LIMITS } from '../limits.ts'
import { REVALIDATE, warningLines } from './headers.ts'

export async function answerCatalog({ registry, target }: Context): Promise<Answer> {
  const page = parsePaging(target.query, LIST_LIMITS)
  const { repositories, more } = await registry.listRepositories(page)
  const urlPath = target.leading === undefined ? '/v2/_catalog' : `/${target.leading}/v2/_catalog`
  const last = more ? repositories.at(-1) : undefined
  return jsonAnswer(
    { repositories },
    { 'Cache-Control': REVALIDATE, Link: nextLink(urlPath, target.query, { page, last }) },
  )
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
