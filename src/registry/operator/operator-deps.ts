// What the operator's questions are answered with: the parts of the running registry, and what the
// process tells of itself.
import type { JobControl } from '../job.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { LeaveReason } from '../ports/catalog-space.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { EvictedFor } from '../ports/events.ts'
import type { FactStore } from '../ports/facts.ts'
import type { PinnedBytes } from '../pins/pinned-bytes.ts'
import type { Pins } from '../pins/pins.ts'
import type { RetentionNow } from '../retain/explain-retention.ts'
import type { RunningRegistry } from '../running-registry.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import type { Selector } from '../pins/selectors.ts'
import type { StorageLimits } from '../space/limits.ts'
import type { Stock } from '../facts/stock.ts'

export interface OperatorDeps {
  readonly registry: RunningRegistry
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly stock: Pick<Stock, 'lost'>
  readonly jobs: JobControl
  readonly namespaces: Namespaces
  readonly policies: RepositoryPolicies
  readonly clock: Clock
  readonly pins: Pins
  readonly pinnedBytes: Pick<PinnedBytes, 'read'>
  /** A pattern as people write it. @throws RegistryError NAME_INVALID */
  readonly parseSelector: (text: string) => Selector
  /**
   * What a text begins with when that is this edge itself, as people type it to clients; see
   * registry/routing/own-name.ts.
   */
  readonly ownNameIn: (text: string) => string | undefined
  /** Tells whoever carries the queue away that there is something new to try. MUST NOT throw. */
  readonly nudgeDeliveries: () => void
  /** As they are now. */
  readonly storageLimits: () => StorageLimits
  /** As it is now. */
  readonly retention: () => RetentionNow
  readonly version: string
  readonly pid: number
  /** Keys of the configuration that have changed since the start and wait for another one. */
  readonly needsRestart: () => readonly string[]
  /** Undefined when the last one was taken. */
  readonly refusedReload: () => RefusedReload | undefined
  /** Undefined: plain HTTP. */
  readonly certificates: () => CertificatesNow | undefined
  /** Undefined: there is no file of accounts. */
  readonly accounts: () => AccountsNow | undefined
  /** Where operators of other machines call; undefined: nowhere. */
  readonly adminApi: () => string | undefined
  /** Undefined: there are none. */
  readonly robots: () => RobotsNow | undefined
  readonly sending: Sending
  /** As they are now. */
  readonly threads: () => ServingThreads
  /** Counted since the start: bytes that clients got from here, and those that upstreams gave. */
  readonly traffic: () => Promise<Traffic>
  /** Counted since the start. */
  readonly departures: () => Promise<Departures>
}

/** What has left this edge. */
export interface Departures {
  /** Files of blobs and manifests, and what the disk had back by them; a row for each reason. */
  readonly left: readonly {
    readonly reason: LeaveReason
    readonly files: number
    readonly bytes: number
  }[]
  readonly evictedImages: Readonly<Record<EvictedFor, number>>
  /**
   * How long the cache remembers: the shortest time from its last use until an image was evicted.
   * Absent while none was.
   */
  readonly rememberedMs?: number
}

/** Of the certificate that is to be renewed first. */
interface NextExpiry {
  readonly expiresAtMs: number
  /** From then on people are told to renew it. */
  readonly renewAtMs: number
}

/** Those that clients are shown. */
export interface CertificatesNow extends NextExpiry {
  /** Their files have changed and are faulty: those of before are shown. */
  readonly isRefused: boolean
  /** Those that sign for clients; absent: there are none. */
  readonly authorities?: NextExpiry
}

/** Those of the file that somebody can log in by. */
export interface AccountsNow {
  readonly count: number
  /** The file has changed and is faulty: those of before are in force. */
  readonly isRefused: boolean
}

export interface RobotsNow {
  readonly count: number
  /** Names of those that end within seven days. */
  readonly expiring: readonly string[]
  /** Names of those that have ended. */
  readonly expired: readonly string[]
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
