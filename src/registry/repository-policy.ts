// What the operator lets clients do with a repository beyond pulling: the first rule of
// `repositories` whose pattern fits its canonical name. Who may do it is for access/.
import type { Repository } from '../oci/reference.ts'

/**
 * - `store`: kept here, for good
 * - `forward`: goes to the upstream while the client waits; its verdict is the client's
 * - `queue`: acknowledged when it is durable here, delivered when the upstream is there
 * - `deny`: refused, with the way out
 */
export const PUSH_MODES = ['store', 'forward', 'queue', 'deny'] as const
export type PushMode = (typeof PUSH_MODES)[number]

export interface RepositoryPolicy {
  readonly push: PushMode
  /** Manifests are taken without what they list being here (R113). */
  readonly sparse: boolean
  /** Tags, manifests and blobs may be deleted (R118). */
  readonly deletable: boolean
  /** For `queue`: what to do when the upstream's tag moved between the push and its delivery. */
  readonly onConflict: 'park' | 'overwrite'
}

export interface RepositoryPolicies {
  /** MUST NOT do input or output. */
  find(repository: Repository): RepositoryPolicy
}
