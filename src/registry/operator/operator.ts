// What an operator asks of the running registry: what is here, where it came from, what would
// happen now, and to warm the cache. Values as they are shown and sent as JSON; people's text is
// made by the command line.
import type { Namespaces } from '../namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { FactStore } from '../ports/facts.ts'
import type { RunningRegistry } from '../registry.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'
import { inspectImage, type InspectedImage } from './inspect-image.ts'
import { listImages, type ListedImages } from './list-images.ts'
import {
  dropQueued,
  type ListedQueue,
  listQueue,
  type QueuedPush,
  type RetriedQueue,
  retryAllQueued,
  retryQueued,
} from './queue.ts'
import {
  describeStatus,
  type RefusedReload,
  type Sending,
  type ServingThreads,
  type Status,
} from './status.ts'
import { type WarmEvent, warmImage, type WarmRequest } from './warm-image.ts'
import { explainImage, type Explanation } from './why-image.ts'

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

/** Every method throws RegistryError for what is wrong with its arguments. */
export interface Operator {
  status(): Promise<Status>
  /** `pattern`: glob over `repository:tag`; undefined for everything. At most LISTED_MAX rows. */
  list(pattern: string | undefined): Promise<ListedImages>
  /** @throws RegistryError MANIFEST_UNKNOWN when the image is not here; asks no upstream */
  inspect(image: string): Promise<InspectedImage>
  /** Never asks an upstream. */
  why(image: string): Promise<Explanation>
  /** What waits to be delivered. */
  queue(): Promise<ListedQueue>
  /** Tries one entry, or `all` of them, now. @throws RegistryError when there is no such entry */
  retryQueued(id: number | 'all'): Promise<RetriedQueue>
  /** Gives one entry up, for good. @throws RegistryError when there is no such entry */
  dropQueued(id: number): Promise<QueuedPush>
  /** Pulls the image through, telling of its progress; ends after `done`. */
  warm(request: WarmRequest, signal: AbortSignal): AsyncIterable<WarmEvent>
}

export function createOperator(deps: OperatorDeps): Operator {
  return {
    status: () => describeStatus(deps),
    list: pattern => listImages(deps, pattern),
    inspect: image => inspectImage(deps, image),
    why: image => explainImage(deps, image),
    queue: () => listQueue(deps),
    retryQueued: id => (id === 'all' ? retryAllQueued(deps) : retryQueued(deps, id)),
    dropQueued: id => dropQueued(deps, id),
    warm: (request, signal) => warmImage(deps, request, signal),
  }
}
