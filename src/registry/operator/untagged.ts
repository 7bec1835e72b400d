// What was pushed here and stays, and that no tag names: found by its digest alone. It holds the
// disk until somebody deletes it, and a list of tags would not tell of it.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { rowsOf } from '../pacing/pages.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { HeldManifest } from '../ports/catalog-holdings.ts'
import type { Catalog } from '../ports/catalog.ts'

type UntaggedReads = Pick<
  Catalog,
  'listManifests' | 'holdsOf' | 'listTagsOf' | 'listListers' | 'findManifest'
>

/**
 * Kept manifests that no tag leads to and no index there lists, and that are about nothing there:
 * what is shown with something else is no image by itself. In no order.
 * @throws StoreError
 */
export async function* untaggedImages(
  catalog: UntaggedReads,
  repository: Repository,
): AsyncGenerator<Digest> {
  const pieces = new Pieces()
  const manifests = rowsOf<HeldManifest, number>(
    page => catalog.listManifests(repository, page),
    ({ position }) => position,
  )
  for await (const { digest } of manifests) {
    await pieces.done(1)
    if (!(await catalog.holdsOf(repository, digest)).includes('pushed')) continue
    if (!(await isNamed(catalog, repository, digest))) yield digest
  }
}

async function isNamed(
  catalog: UntaggedReads,
  repository: Repository,
  digest: Digest,
): Promise<boolean> {
  if ((await catalog.listTagsOf({ repository, digest }, 1)).length > 0) return true
  if ((await catalog.listListers(repository, digest, { limit: 1 })).length > 0) return true
  const { edges = [] } = (await catalog.findManifest(repository, digest)) ?? {}
  const subject = edges.find(({ kind }) => kind === 'subject')?.child
  return subject !== undefined && (await catalog.findManifest(repository, subject)) !== undefined
}
