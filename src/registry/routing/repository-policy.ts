// What the operator lets clients do with a repository beyond pulling: the first rule of
// `repositories` whose pattern fits its canonical name. Who may do it is for access/.
import { LOCALHOST, type Repository, type Tag } from '../../oci/reference.ts'
import type { ConflictChoice, PushMode } from '../ports/push-modes.ts'
import type { Quota } from './quota.ts'

export interface RepositoryPolicy {
  readonly push: PushMode
  /** Manifests are taken without what they list being here (R113). */
  readonly sparse: boolean
  /** Tags, manifests and blobs may be deleted (R118). */
  readonly deletable: boolean
  readonly onConflict: ConflictChoice
  /** How much of the cache all that this rule holds for may have. */
  readonly quota?: Quota | undefined
  /** No client moves or deletes the tag once it is there. */
  readonly isImmutable: (tag: Tag) => boolean
}

/** Where no rule holds. */
export const DENIED: RepositoryPolicy = {
  push: 'deny',
  sparse: false,
  deletable: false,
  onConflict: 'park',
  isImmutable: () => false,
}

export interface RepositoryPolicies {
  /** MUST NOT do input or output. */
  find(repository: Repository): RepositoryPolicy
}

/** What is pushed there stays at this edge: nobody else need have it. */
export function isHome(policies: RepositoryPolicies, repository: Repository): boolean {
  return repository.registry === LOCALHOST || policies.find(repository).push === 'store'
}
