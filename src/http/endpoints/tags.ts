// The tag list of a repository (end-8; R65–R67).
import { formatNextLink, parsePaging } from '../../oci/paging.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { REVALIDATE, warningLines } from './content-headers.ts'
import type { NamedContext } from '../context.ts'
import { LIST_LIMITS } from '../limits.ts'

export async function answerTags({
  exchange,
  registry,
  routed,
  target,
}: NamedContext): Promise<Answer> {
  const page = parsePaging(target.query, LIST_LIMITS)
  const list = await registry.listTags(routed.repository, page)
  exchange.record.source = list.source
  const last = list.tags.at(-1)
  const urlPath = `${routed.urlPrefix}/tags/list`
  return jsonAnswer(
    { name: routed.spelled, tags: list.tags },
    {
      'Cache-Control': REVALIDATE,
      'X-Entrepot-Source': list.source,
      // After an empty page nobody could go on from its last entry.
      Link:
        list.more && last !== undefined
          ? formatNextLink(urlPath, target.query, { limit: page.limit, last })
          : undefined,
      Warning: warningLines(list.warnings),
    },
  )
}
