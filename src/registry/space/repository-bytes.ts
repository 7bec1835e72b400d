// What repositories come to, all of them: each counts what is a member of it and here, whatever
// others have of the same.
import type { RepositoryKey } from '../../oci/reference.ts'
import { rowsOf } from '../pacing/pages.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { RepositoryBytes } from '../ports/catalog-images.ts'

export function eachRepository(
  catalog: Pick<Catalog, 'listRepositoryBytes'>,
): AsyncGenerator<RepositoryBytes> {
  return rowsOf<RepositoryBytes, RepositoryKey>(
    page => catalog.listRepositoryBytes(page),
    ({ repository }) => repository,
  )
}

/** Undefined when there is none. @throws StoreError */
export async function largestRepository(
  catalog: Pick<Catalog, 'listRepositoryBytes'>,
): Promise<RepositoryBytes | undefined> {
  let largest: RepositoryBytes | undefined
  for await (const each of eachRepository(catalog))
    if (each.bytes > (largest?.bytes ?? 0)) largest = each
  return largest
}
