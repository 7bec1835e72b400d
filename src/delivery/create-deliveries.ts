// Everything that goes elsewhere by itself: the outbox with its carriers. One carrier so far; a
// replica or a notification will be another function beside it.
import { hostFrom, type RegistryHost, registryOf } from '../oci/reference.ts'
import type { Namespaces } from '../registry/routing/namespaces.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { FactStore } from '../registry/ports/facts.ts'
import type { RepositoryPolicies } from '../registry/routing/repository-policy.ts'
import type { RunningRegistry } from '../registry/running-registry.ts'
import type { Turns } from '../async/turns.ts'
import { createQueueCarrier } from './queue-carrier.ts'
import { type Destination, Outbox } from './outbox.ts'
import { takeOut } from './take-out.ts'

export interface DeliveriesParts {
  readonly catalog: Catalog
  readonly store: BlobStore
  readonly facts: FactStore
  readonly namespaces: Namespaces
  readonly policies: RepositoryPolicies
  readonly clock: Clock
  readonly note: NoteEvent
  /** In [0, 1); for jitter. */
  readonly random: () => number
  /**
   * Those that pushes and deletes take, by the repository's key: taking an entry out runs alone
   * among them.
   */
  readonly turns: Pick<Turns, 'take'>
  /**
   * Told of each delivered push, in its repository's turn and before its tags are settled: as
   * RunningRegistry.delivered wants it.
   */
  readonly delivered?: RunningRegistry['delivered']
  /**
   * How long a request whose answer was never seen may still arrive, in milliseconds. Default three
   * minutes.
   */
  readonly settlingMs?: number
}

export interface Deliveries {
  /** Goes on with what waits. No effect the second time. */
  start(): void
  /**
   * Something was queued or changed. With a registry: it answers, and what found it silent is tried
   * now. MUST be called after the catalog has it; does nothing but wake.
   */
  nudge(registry?: RegistryHost): void
  /**
   * For how long a request of this repository that ended without an answer may still arrive at its
   * upstream, in milliseconds.
   */
  unsettledMs(key: string): number
  /** Its configuration changed: all that waits for it is tried now, also what was refused. */
  anew(registry: RegistryHost): void
  /**
   * Begins nothing new; cuts after a moment what is under way, which the next process does again.
   * Before catalog and store close.
   */
  stop(): Promise<void>
}

/** Make it when this process alone has the catalog. */
export function createDeliveries(parts: DeliveriesParts): Deliveries {
  const { namespaces } = parts
  return new Outbox({
    ...parts,
    carrier: 'queue',
    carry: createQueueCarrier(parts),
    inTurn: (key, step) => parts.turns.take(key, step),
    destinationOf: entry => destinationOf(namespaces, entry),
    takeOut: (entry, settled) => parts.turns.take(entry.key, () => takeOut(parts, entry, settled)),
  })
}

/** One for each registry. */
function destinationOf(namespaces: Namespaces, { key }: Delivery): Destination {
  const name = registryOf(key)
  const registry = hostFrom(name)
  // What cannot be read has nowhere to go, which its carrier finds out.
  if (registry === undefined) return { name, closed: undefined }
  const namespace = namespaces.find(registry)
  if (namespace === undefined) return { name, closed: `${name} is no upstream of this edge now` }
  return { name, closed: namespace.policy.offline ? `${name} is configured offline` : undefined }
}
