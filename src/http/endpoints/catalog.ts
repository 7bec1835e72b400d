// `_catalog`: the repositories that are here (R71). Never an upstream's own catalog.
import { formatNextLink, parsePaging } from '../../oci/paging.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { REVALIDATE } from './content-headers.ts'
import type { Context } from '../context.ts'
import { LIST_LIMITS } from '../limits.ts'

export async function answerCatalog({ registry, target }: Context): Promise<Answer> {
  const page = parsePaging(target.query, LIST_LIMITS)
  const list = await registry.listRepositories(page)
  const last = list.repositories.at(-1)
  const urlPath = target.leading === undefined ? '/v2/_catalog' : `/${target.leading}/v2/_catalog`
  return jsonAnswer(
    { repositories: list.repositories },
    {
      'Cache-Control': REVALIDATE,
      Link:
        list.more && last !== undefined
          ? formatNextLink(urlPath, target.query, { limit: page.limit, last })
          : undefined,
    },
  )
}
