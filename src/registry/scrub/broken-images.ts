// Which images cannot be given whole any more since this content is lost: by their tags where they
// have some, as people know them.
import type { Digest } from '../../oci/digest.ts'
import { formatImage, parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import { INDEX_DEPTH_MAX } from '../content/edges.ts'
import type { Catalog } from '../ports/catalog.ts'

/** Each of them is told; of more, that there are more. */
const IMAGES_TOLD = 10
/** A layer of a base image belongs to very many. */
const REPOSITORIES_LOOKED_AT = 32

type Reads = Pick<Catalog, 'listRepositoriesOf' | 'listTagsOf' | 'listListers' | 'findManifest'>

/** For people: names, or that there are none. @throws StoreError */
export async function brokenImages(catalog: Reads, digest: Digest): Promise<string> {
  const names = new Set<string>()
  for (const key of await catalog.listRepositoriesOf(digest, REPOSITORIES_LOOKED_AT)) {
    if (names.size > IMAGES_TOLD) break
    await addNames(catalog, { repository: parseRepositoryKey(key), digest, names }, 0)
  }
  if (names.size === 0) return 'no image, but a push that has not ended'
  const told = [...names].slice(0, IMAGES_TOLD).join(', ')
  return names.size > IMAGES_TOLD ? `${told} and more` : told
}

interface Search {
  readonly repository: Repository
  readonly digest: Digest
  readonly names: Set<string>
}

async function addNames(catalog: Reads, search: Search, depth: number): Promise<void> {
  const { repository, digest, names } = search
  if (names.size > IMAGES_TOLD || depth > INDEX_DEPTH_MAX) return
  const tags = await catalog.listTagsOf({ repository, digest }, IMAGES_TOLD)
  for (const tag of tags) names.add(formatImage(repository, { kind: 'tag', tag }))
  if (tags.length > 0) return
  const listers = await catalog.listListers(repository, digest, { limit: IMAGES_TOLD })
  for (const lister of listers) await addNames(catalog, { ...search, digest: lister }, depth + 1)
  const isRoot = listers.length === 0
  if (isRoot && (await catalog.findManifest(repository, digest)) !== undefined)
    names.add(formatImage(repository, { kind: 'digest', digest }))
}
