// Tags of a repository with what they were used for, page by page.
import type { Repository } from '../../oci/reference.ts'
import type { TagUsage } from '../ports/catalog-images.ts'
import type { PageRequest, RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'

export interface UsedTag extends RecordedTag {
  readonly usage: TagUsage | undefined
}

/** In the order of the catalog's own list. @throws StoreError */
export async function listUsedTags(
  catalog: Pick<Catalog, 'listTags' | 'listTagUsage'>,
  repository: Repository,
  page: PageRequest,
): Promise<readonly UsedTag[]> {
  const [tags, used] = await Promise.all([
    catalog.listTags(repository, page),
    catalog.listTagUsage(repository, page),
  ])
  const byTag = new Map(used.map(each => [each.tag, each]))
  return tags.map(each => ({ ...each, usage: byTag.get(each.tag) }))
}
