// The reads of the outbox, on the calling thread as those of reader.ts: each is a look-up by key or
// the beginning of an index, however many entries wait.
import type { Database } from 'better-sqlite3'
import {
  CARRIERS,
  type Carrier,
  type Delivery,
  type OutboxTotals,
} from '../../registry/ports/outbox.ts'
import { byTime, MAX_DELIVERIES_OF_KEY, shareOf } from '../bounds.ts'
import { deliveryState, STATE_CODES } from './encoding.ts'
import { DESTINATION } from './schema-trust.ts'

interface DeliveryRow {
  readonly id: number
  readonly carrier: Carrier
  readonly key: string
  readonly payload: string
  readonly created_at: number
  readonly state: number
  readonly attempts: number
  readonly next_at: number
  readonly in_doubt: number
  readonly reason: string | null
}

interface DestinationRow {
  readonly destination: string
  /** Of what is due first there. */
  readonly next_at: number
  readonly id: number
}

const COLUMNS =
  'id, carrier, key, payload, created_at, state, attempts, next_at, in_doubt, reason FROM outbox'

export class OutboxReader {
  readonly #sql: ReturnType<typeof prepareReads>

  constructor(database: Database) {
    this.#sql = prepareReads(database)
  }

  find(id: number): Delivery | undefined {
    const row = this.#sql.find.get(id) as DeliveryRow | undefined
    return row === undefined ? undefined : deliveryOf(row)
  }

  list({ after = 0, limit }: { after?: number; limit: number }): Delivery[] {
    return (this.#sql.list.all(after, limit) as DeliveryRow[]).map(deliveryOf)
  }

  listOf(key: string): Delivery[] {
    return (this.#sql.listOf.all(key) as DeliveryRow[]).map(deliveryOf)
  }

  listDue({ carrier, limit }: { carrier: Carrier; limit: number }): Delivery[] {
    const destinations = this.#sql.destinations.all({ carrier }) as DestinationRow[]
    const share = shareOf(limit, destinations.length)
    return destinations
      .sort((a, b) => a.next_at - b.next_at || a.id - b.id)
      .slice(0, limit)
      .flatMap(
        ({ destination }) => this.#sql.listDue.all(carrier, destination, share) as DeliveryRow[],
      )
      .map(deliveryOf)
      .sort(byTime)
  }

  totals(): OutboxTotals[] {
    return CARRIERS.map(carrier => {
      const row = this.#sql.totals.get(carrier) as { waiting: number; parked: number } | undefined
      const { waiting, parked } = row ?? { waiting: 0, parked: 0 }
      const oldest = this.#sql.oldest.get(carrier) as number | undefined
      return { carrier, waiting, parked, oldestAtMs: oldest }
    })
  }
}

function prepareReads(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    find: row(`SELECT ${COLUMNS} WHERE id = ?`),
    list: row(`SELECT ${COLUMNS} WHERE id > ? ORDER BY id LIMIT ?`),
    listOf: row(`SELECT ${COLUMNS} WHERE key = ? ORDER BY id LIMIT ${MAX_DELIVERIES_OF_KEY}`),
    // From one destination to the next by the index, past all that waits in between.
    destinations: row(`
WITH RECURSIVE destinations (destination) AS (
  SELECT min(${DESTINATION}) FROM outbox WHERE carrier = @carrier AND first = 1
  UNION ALL
  SELECT (SELECT min(${DESTINATION}) FROM outbox WHERE carrier = @carrier AND first = 1 AND ${DESTINATION} > destination)
    FROM destinations WHERE destination IS NOT NULL
)
SELECT destination, next_at, id FROM destinations JOIN outbox ON id = (
  SELECT id FROM outbox WHERE carrier = @carrier AND first = 1 AND ${DESTINATION} = destination ORDER BY next_at, id LIMIT 1)`),
    listDue: row(
      `SELECT ${COLUMNS} WHERE carrier = ? AND first = 1 AND ${DESTINATION} = ? ORDER BY next_at, id LIMIT ?`,
    ),
    totals: row('SELECT waiting, parked FROM outbox_totals WHERE carrier = ?'),
    oldest: row(
      `SELECT created_at FROM outbox WHERE carrier = ? AND state = ${STATE_CODES.waiting}
       ORDER BY created_at LIMIT 1`,
    ).pluck(),
  }
}

function deliveryOf(row: DeliveryRow): Delivery {
  const { id, carrier, key, payload, attempts } = row
  return {
    id,
    carrier,
    key,
    payload,
    createdAtMs: row.created_at,
    state: deliveryState(row.state),
    attempts,
    nextAtMs: row.next_at,
    inDoubt: row.in_doubt === 1,
    reason: row.reason ?? undefined,
  }
}
