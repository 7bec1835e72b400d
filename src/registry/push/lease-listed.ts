// What a pushed manifest lists, and the repository has, stays while the push is judged and
// recorded. Only what it has: else whoever knows digests could have stay what others only cached,
// by manifests that are never taken.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { filterFew } from '../../async/few-at-once.ts'
import type { Leases } from '../content/leases.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Listed } from './check-references.ts'

/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

/**
 * Returns what does not leave from now on, if it is here; that MUST be looked at afterwards. Of
 * what has come to the repository meanwhile nothing is said. In the repository's turn once more:
 * the leases of before may have ended by another's push.
 * @throws StoreError
 */
export async function leaseListed(
  { catalog, leases }: { readonly catalog: Catalog; readonly leases: Leases },
  repository: Repository,
  listed: readonly Listed[],
): Promise<ReadonlySet<Digest>> {
  const digests = listed.map(({ digest }) => digest).filter(digest => digest !== undefined)
  const there = await filterFew(
    [...new Set(digests)],
    LOOKS_AT_ONCE,
    async digest => (await catalog.findMember(repository, digest)) !== undefined,
  )
  await leases.take(repository, there, { inTurn: true })
  return new Set(there)
}
