// end-10: a blob is taken out of one repository (R118). Its bytes stay for whoever else holds it;
// the upstream is never told (R119).
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import { requireDeletable } from './delete-refusal.ts'
import { type ClearTagsDeps, requireClearTags } from './require-clear-tags.ts'
import { requireUnbound } from './require-unbound.ts'

export interface DeleteBlobDeps extends ClearTagsDeps {
  readonly presence: BlobPresence
}

/**
 * Durable when it resolves.
 * @throws RegistryError UNSUPPORTED, BLOB_UNKNOWN, DENIED; StoreError
 */
export async function deleteBlob(
  deps: DeleteBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<void> {
  requireDeletable(deps.policies, repository)
  await requireClearTags(deps, repository)
  await deps.turns.take(repositoryKey(repository), () => removeBlob(deps, repository, digest))
}

async function removeBlob(
  deps: DeleteBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<void> {
  const { catalog, presence } = deps
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
