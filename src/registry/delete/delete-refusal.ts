// Whether anything may be deleted from a repository at all (R118): the operator's switch, which
// holds for tags, manifests and blobs alike.
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'

/** @throws RegistryError UNSUPPORTED */
export function requireDeletable(policies: RepositoryPolicies, repository: Repository): void {
  if (!policies.find(repository).deletable) throw undeletable(repository)
}

/** Says what to set. */
export function undeletable(repository: Repository): RegistryError {
  return new RegistryError(
    'UNSUPPORTED',
    `nothing can be deleted from ${repositoryKey(repository)}: to allow it, set storage.delete.enabled: true, or delete: true in a rule for it under repositories`,
  )
}
