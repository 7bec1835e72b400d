// The namespaces that this edge knows: for each registry host its upstream and how its content is
// kept fresh.
import type { RegistryHost } from '../../oci/reference.ts'
import type { FillPolicy } from '../fill/fill-share.ts'
import type { FreshnessPolicy } from '../pull/freshness.ts'
import type { PrefetchPolicy } from '../pull/prefetch-rules.ts'
import type { Upstream } from '../ports/upstream.ts'

export interface Namespace extends FillPolicy, PrefetchPolicy {
  readonly upstream: Upstream
  readonly policy: FreshnessPolicy
  /**
   * Its blobs are those of other registries that share, and theirs are its, by the word of either's
   * upstream alone; see sharing.ts.
   */
  readonly shares: boolean
}

export interface Namespaces {
  /**
   * Undefined for `localhost` and for hosts that are no upstream here. May make one on the spot
   * where any host is allowed.
   */
  find(registry: RegistryHost): Namespace | undefined
  /** No registry can be asked for that does not share. */
  readonly allShare: boolean
  /** Those that exist now. */
  list(): readonly Namespace[]
}
