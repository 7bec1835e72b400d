// What the fills of one upstream share: places, connections, and what is known of how many
// connections are worth having.
import type { Clock } from '../ports/clock.ts'
import type { FillPolicy } from '../routing/namespaces.ts'
import { ConnectionBudget } from './connection-budget.ts'
import { Slots } from './slots.ts'
import { ConcurrencyController } from './concurrency-controller.ts'

/**
 * Of the connections, this part is not for reading ranges: it is for the requests that are made
 * while a range still runs, and for the first ones of other blobs.
 */
const SPARE_SHARE = 1 / 4

export interface FillShare {
  readonly slots: Slots
  readonly connections: ConnectionBudget
  readonly concurrency: ConcurrencyController
  /**
   * Told by a fill that has all of its blob: its place is free, long before the disk has the blob
   * for good.
   */
  readonly freed: () => void
  /** How many fills have a place, of whatever upstream: they have the edge's link between them. */
  readonly underWay: () => number
}

export interface FillShareOptions {
  readonly clock: Clock
  /** The places that all upstreams have together which only clients named. */
  readonly named: Slots
  readonly freed: () => void
  readonly underWay: () => number
}

export function createFillShare(
  { connections, fillsAtOnce, namedByClient }: FillPolicy,
  { clock, named, freed, underWay }: FillShareOptions,
): FillShare {
  const within = namedByClient ? named : undefined
  return {
    // One that has a place has a connection: who waits for a place is told so, and places are
    // called back.
    slots: new Slots(Math.min(fillsAtOnce, connections), clock, within),
    connections: new ConnectionBudget(connections),
    concurrency: new ConcurrencyController(
      clock,
      Math.max(1, connections - Math.ceil(connections * SPARE_SHARE)),
    ),
    freed,
    underWay,
  }
}
