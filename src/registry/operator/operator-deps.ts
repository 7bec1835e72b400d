// What the operator's questions are answered with: the parts of the running registry, and what the
// process tells of itself.
import type { Namespaces } from '../namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { FactStore } from '../ports/facts.ts'
import type { RunningRegistry } from '../registry.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'

export interface OperatorDeps {
  readonly registry: RunningRegistry
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly namespaces: Namespaces
  readonly policies: RepositoryPolicies
  readonly clock: Clock
  /**
   * What a text begins with when that is this edge itself, as people type it to clients; see
   * registry/own-name.ts.
   */
  readonly ownNameIn: (text: string) => string | undefined
  /** Tells whoever carries the queue away that there is something new to try. MUST NOT throw. */
  readonly nudgeDeliveries: () => void
  /** Most that cached content may take, in bytes; Infinity when only the disk limits. */
  readonly maxStorageBytes: number
  readonly version: string
  readonly pid: number
  /** Keys of the configuration that have changed since the start and wait for another one. */
  readonly needsRestart: () => readonly string[]
  /** Undefined when the last one was taken. */
  readonly refusedReload: () => RefusedReload | undefined
  readonly sending: Sending
  /** As they are now. */
  readonly threads: () => ServingThreads
  /** Counted since the start: bytes that clients got from here, and those that upstreams gave. */
  readonly traffic: () => Promise<Traffic>
}

export interface Traffic {
  readonly sentBytes: number
  readonly upstreamBytes: number
  readonly savedBytes: number
  readonly hits: number
  readonly requests: number
}

/**
 * How large blobs go to clients: by the kernel, straight from their file, or through this process,
 * which has a reason.
 */
export type Sending =
  | { readonly sending: 'sendfile' }
  | { readonly sending: 'plain'; readonly plainBecause: PlainBecause }

/**
 * `tls`: what is encrypted here cannot be sent from a file; `switched off`: by the environment;
 * `not built`: the native sender is not there, or cannot be loaded.
 */
export type PlainBecause = 'tls' | 'switched off' | 'not built'

/** The threads that serve clients, the first one included. */
export interface ServingThreads {
  readonly configured: number
  /** Fewer than configured while one is started again. */
  readonly listening: number
  /** That ended by an error, since the start. */
  readonly deaths: number
}

export interface RefusedReload {
  readonly atMs: number
  /** As `check` tells them; at least one. */
  readonly faults: readonly string[]
  /** It was faultless, and failed in the middle of being taken: part of it may be in force. */
  readonly isInPart: boolean
}
