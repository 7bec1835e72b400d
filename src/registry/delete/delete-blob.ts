// end-10: a blob is taken out of one repository (R118). Its bytes stay for whoever else holds it;
// the upstream is never told (R119).
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobPresence } from '../blob-presence.ts'
import { requireDeletable } from './delete-refusal.ts'
import { requireUnbound } from './require-unbound.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'

export interface DeleteBlobDeps {
  readonly catalog: Catalog
  readonly policies: RepositoryPolicies
  readonly presence: BlobPresence
}

/**
 * MUST run in the repository's turn. Durable when it resolves.
 * @throws RegistryError UNSUPPORTED, BLOB_UNKNOWN, DENIED; StoreError
 */
export async function deleteBlob(
  deps: DeleteBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<void> {
  const { catalog, policies, presence } = deps
  requireDeletable(policies, repository)
  // What a manifest took along is gone, but clients delete an image piece by piece, and want to
  // hear that each piece was there.
  const member = await catalog.findMember(repository, digest)
  if (member === undefined && !(await catalog.wasTaken(repository, digest))) {
    throw new RegistryError('BLOB_UNKNOWN', 'this repository has no such blob')
  }
  // Its tags would go with it, and what they are remembered by would not.
  if (member?.mediaType !== undefined) {
    throw new RegistryError('BLOB_UNKNOWN', 'this digest is a manifest here: delete it as one')
  }
  if (member !== undefined) await requireUnbound(deps, repository, { kind: 'digest', digest })
  await presence.remove(repository, digest)
}
