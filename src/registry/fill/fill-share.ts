// What the fills of one upstream share: places, lines, and what is known of how many lines are
// worth having.
import type { Namespace } from '../namespaces.ts'
import type { Clock } from '../ports/clock.ts'
import { Lines } from './lines.ts'
import { Slots } from './slots.ts'
import { Width } from './width.ts'

/**
 * Of the lines, this part is not for reading ranges: from it come the questions that are asked
 * while a range still runs, and the first requests of other blobs.
 */
const SPARE_SHARE = 1 / 4

export interface FillShare {
  readonly slots: Slots
  readonly lines: Lines
  readonly width: Width
  /**
   * Told by a fill that has all of its blob: its place is free, long before the disk has the blob
   * for good.
   */
  readonly freed: () => void
  /** How many fills have a place, of whatever upstream: they have the edge's line between them. */
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
  namespace: Namespace,
  { clock, named, freed, underWay }: FillShareOptions,
): FillShare {
  const { connections, fillsAtOnce, namedByClient } = namespace
  const within = namedByClient ? named : undefined
  return {
    // One that has a place has a line: what waits for a place is told, and called back for.
    slots: new Slots(Math.min(fillsAtOnce, connections), clock, within),
    lines: new Lines(connections),
    width: new Width(clock, Math.max(1, connections - Math.ceil(connections * SPARE_SHARE))),
    freed,
    underWay,
  }
}
