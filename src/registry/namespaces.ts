// The namespaces that this edge knows: for each registry host its upstream and how its content is
// kept fresh.
import type { RegistryHost } from '../oci/reference.ts'
import type { FreshnessPolicy } from './pull/freshness.ts'
import type { Upstream } from './ports/upstream.ts'

export interface Namespace {
  readonly upstream: Upstream
  readonly policy: FreshnessPolicy
  /** Blobs downloaded at once from this upstream; more wait. */
  readonly fillsAtOnce: number
  /** May blobs be fetched before a client asks for them? */
  readonly prefetch: boolean
  /** Requests for blobs at once, over all downloads from this upstream; at least 1. */
  readonly connections: number
  /** Only a client has named it: all of these have a bounded number of downloads together. */
  readonly namedByClient: boolean
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
