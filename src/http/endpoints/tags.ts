// The tags of a repository (end-8; R65–R67).
import { parsePaging } from '../../oci/paging.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import type { NamedContext } from '../context.ts'
import { LIST_LIMITS } from '../limits.ts'
import { nextLink, REVALIDATE, warningLines } from './headers.ts'

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
      Link: nextLink(`${routed.urlPrefix}/tags/list`, target.query, { limit: page.limit, last }),
      Warning: warningLines(warnings),
    },
  )
}
