// The outbox's runner alone: a catalog in memory, a clock that a test moves, and a carrier that a
// test writes as a function.
import { createMemoryCatalog } from '../memory/catalog.ts'
import { Outbox, type Destination } from '../../../src/delivery/outbox.ts'
import type { Attempt, DeliveryOutcome } from '../../../src/delivery/carrier.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type { Delivery } from '../../../src/registry/ports/outbox.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import { createManualClock } from '../manual-clock.ts'

export interface BenchOptions {
  readonly carry?: (entry: Delivery, attempt: Attempt) => Promise<DeliveryOutcome>
  readonly destinationOf?: (entry: Delivery) => Destination
  readonly random?: () => number
  /** Put between the outbox and its catalog. */
  readonly catalog?: (catalog: Catalog) => Catalog
}

export const DELIVERED: DeliveryOutcome = { kind: 'delivered', settled: undefined }
export const FAILED: Extract<DeliveryOutcome, { kind: 'retry' }> = {
  kind: 'retry',
  reason: 'it failed',
  hint: undefined,
}
export const PARKED: DeliveryOutcome = { kind: 'park', reason: 'never', hint: 'drop it' }

export function createBench(options: BenchOptions = {}) {
  const clock = createManualClock()
  const catalog = (options.catalog ?? (same => same))(createMemoryCatalog())
  const events: EngineEvent[] = []
  /** Ids of entries, in the order in which attempts began. */
  const tried: number[] = []
  const bench = {
    clock,
    catalog,
    events,
    tried,
    carry: options.carry ?? (async () => DELIVERED),
    /** Begins to carry at once, as a process does that has just started. */
    start: (): Outbox => {
      const outbox = new Outbox({
        inTurn: (_, step) => step(),
        catalog,
        clock,
        note: event => events.push(event),
        random: options.random ?? (() => 0),
        carrier: 'queue',
        destinationOf: options.destinationOf ?? (({ key }) => ({ name: key, closed: undefined })),
        carry: (entry, attempt) => {
          tried.push(entry.id)
          return bench.carry(entry, attempt)
        },
        takeOut: ({ id }) => catalog.removeDelivery(id),
      })
      outbox.start()
      return outbox
    },
    queue: (id: number, key = 'docker.io/a'): Promise<void> => {
      const createdAtMs = clock.nowMs()
      return catalog.recordDelivery({ id, carrier: 'queue', key, payload: '', createdAtMs })
    },
    /** Lets everything happen that can without time passing. */
    settle: () => clock.advance(0),
    outcomes: () =>
      events.flatMap(event => (event.kind === 'delivery' ? [`${event.id} ${event.outcome}`] : [])),
  }
  return bench
}

/** An outcome that comes when a test says so. */
export function held() {
  const { promise, resolve } = Promise.withResolvers<DeliveryOutcome>()
  return { carry: () => promise, end: resolve }
}
