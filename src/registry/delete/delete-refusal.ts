// Whether anything may be deleted from a repository at all (R118): the operator's switch, which holds for tags, manifests and blobs alike.
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'

/** @throws RegistryError UNSUPPORTED */
export function requireDeletable(policies: RepositoryPolicies, repository: Repository): void {
  if (policies.find(repository).deletable) return
  throw new RegistryError(
    'UNSUPPORTED',
    `nothing can be deleted from ${repositoryKey(repository)}: storage.delete.enabled, or delete under repositories, says so`,
  )
}
