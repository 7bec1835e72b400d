// The outbox: what waits to be delivered, by which carrier, and how far that has come. Which entry
// of a key is the first, and how many there are, is kept by triggers; so each read is a look-up by
// key or the beginning of an index, however many entries wait.
import type { Database } from 'better-sqlite3'
import type { DeleteOptions } from '../../registry/ports/catalog-pushes.ts'
import {
  CARRIERS,
  type Carrier,
  type Delivery,
  type DeliveryChange,
  type NewDelivery,
  type OutboxTotals,
} from '../../registry/ports/outbox.ts'
import { byTime, MAX_DELIVERIES_OF_KEY, MAX_REASON_LENGTH, shareOf } from '../bounds.ts'
import { deliveryState, STATE_CODES } from './encoding.ts'
import { DESTINATION } from './schema/schema-trust.ts'

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

export function outboxReads(database: Database) {
  const sql = prepareOutboxReads(database)

  return { findDelivery, listDeliveries, listDeliveriesOf, listDue, outboxTotals }

  function findDelivery(id: number): Delivery | undefined {
    const row = sql.find.get(id) as DeliveryRow | undefined
    return row === undefined ? undefined : deliveryOf(row)
  }

  function listDeliveries({ after = 0, limit }: { after?: number; limit: number }): Delivery[] {
    return (sql.list.all(after, limit) as DeliveryRow[]).map(deliveryOf)
  }

  function listDeliveriesOf(key: string): Delivery[] {
    return (sql.listOf.all(key) as DeliveryRow[]).map(deliveryOf)
  }

  function listDue({ carrier, limit }: { carrier: Carrier; limit: number }): Delivery[] {
    const destinations = sql.destinations.all({ carrier }) as DestinationRow[]
    const share = shareOf(limit, destinations.length)
    return destinations
      .sort((a, b) => a.next_at - b.next_at || a.id - b.id)
      .slice(0, limit)
      .flatMap(({ destination }) => sql.listDue.all(carrier, destination, share) as DeliveryRow[])
      .map(deliveryOf)
      .sort(byTime)
  }

  function outboxTotals(): OutboxTotals[] {
    return CARRIERS.map(carrier => {
      const row = sql.totals.get(carrier) as { waiting: number; parked: number } | undefined
      const { waiting, parked } = row ?? { waiting: 0, parked: 0 }
      const oldest = sql.oldest.get(carrier) as number | undefined
      return { carrier, waiting, parked, oldestAtMs: oldest }
    })
  }
}

function prepareOutboxReads(database: Database) {
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

export function outboxWrites(database: Database) {
  const insert = database.prepare(
    `INSERT INTO outbox (id, carrier, key, payload, created_at, next_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
  )
  const update = database.prepare(
    `UPDATE outbox SET state = coalesce(@state, state), attempts = coalesce(@attempts, attempts),
       next_at = coalesce(@nextAtMs, next_at), in_doubt = coalesce(@inDoubt, in_doubt),
       payload = coalesce(@payload, payload),
       reason = CASE WHEN @hasReason THEN @reason WHEN @alsoReason IS NULL THEN reason
         ELSE substr(coalesce(reason || '; ', '') || @alsoReason, 1, ${MAX_REASON_LENGTH}) END WHERE id = @id`,
  )
  const remove = database.prepare('DELETE FROM outbox WHERE id = ?')
  const setPayload = database.prepare('UPDATE outbox SET payload = ? WHERE id = ?')

  return {
    /** One that is there already stays as it is. */
    recordDelivery({ id, carrier, key, payload, createdAtMs }: NewDelivery): void {
      insert.run(id, carrier, key, payload, createdAtMs, createdAtMs)
    },
    changeDelivery(id: number, change: DeliveryChange): void {
      const { state, attempts = null, nextAtMs = null, inDoubt, reason = null } = change
      update.run({
        id,
        attempts,
        nextAtMs,
        reason,
        hasReason: Number('reason' in change),
        alsoReason: change.alsoReason ?? null,
        state: state === undefined ? null : STATE_CODES[state],
        inDoubt: inDoubt === undefined ? null : Number(inDoubt),
        payload: change.payload ?? null,
      })
    },
    remove(id: number): void {
      remove.run(id)
    },
    withdraw({ dropDeliveries = [], changeDeliveries = [] }: DeleteOptions = {}): void {
      for (const id of dropDeliveries) remove.run(id)
      for (const { id, payload } of changeDeliveries) setPayload.run(payload, id)
    },
  }
}
