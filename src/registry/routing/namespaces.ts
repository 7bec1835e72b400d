// The namespaces that this edge knows: for each registry host its upstream, and what the operator
// says of it.
import type { RegistryHost } from '../../oci/reference.ts'
import type { Upstream } from '../ports/upstream.ts'

/** What may be downloaded from one upstream at once. */
export interface FillPolicy {
  /** Blobs downloaded at once from this upstream; more wait. */
  readonly fillsAtOnce: number
  /** Requests for blobs at once, over all downloads from this upstream; at least 1. */
  readonly connections: number
  /** Only a client has named it: all of these have a bounded number of downloads together. */
  readonly namedByClient: boolean
}

/** What may be fetched ahead from one upstream. */
export interface PrefetchPolicy {
  /** May blobs be fetched before a client asks for them? */
  readonly prefetch: boolean
}

interface TagRule {
  /** Glob over the repository's name inside its registry. */
  readonly repository: string
  /** Glob over the tag. */
  readonly tag: string
  readonly ttlMs: number
}

/** How one namespace is kept fresh. */
export interface FreshnessPolicy {
  /** For tags that no rule matches. 0 asks the upstream always. */
  readonly ttlMs: number
  /** First match wins. */
  readonly tagRules: readonly TagRule[]
  /**
   * How long after its last confirmation a tag may still be served when the upstream fails;
   * Infinity is allowed.
   */
  readonly maxStaleMs: number
  /** Never ask the upstream. */
  readonly offline: boolean
}

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
