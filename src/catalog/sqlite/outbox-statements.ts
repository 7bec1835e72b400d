// The SQL of writes to the outbox, prepared once per connection. Which entry of a key is the first, and how many there are, is kept by
// triggers.
import type { Database } from 'better-sqlite3'
import type { DeleteOptions } from '../../registry/ports/catalog.ts'
import type { Delivery, DeliveryChange, NewDelivery } from '../../registry/ports/deliveries.ts'
import { STATE_CODES } from './encoding.ts'

export function prepareOutboxWrites(database: Database) {
  const insert = database.prepare(
    `INSERT INTO outbox (id, carrier, key, payload, created_at, next_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
  )
  const update = database.prepare(
    `UPDATE outbox SET state = ?, attempts = ?, next_at = ?, reason = ?,
       in_doubt = coalesce(?, in_doubt), payload = coalesce(?, payload) WHERE id = ?`,
  )
  const remove = database.prepare('DELETE FROM outbox WHERE id = ?')
  const setPayload = database.prepare('UPDATE outbox SET payload = ? WHERE id = ?')

  return {
    /** One that is there already stays as it is. */
    add({ id, carrier, key, payload, createdAtMs }: NewDelivery): void {
      insert.run(id, carrier, key, payload, createdAtMs, createdAtMs)
    },
    change(id: Delivery['id'], change: DeliveryChange): void {
      const { state, attempts, nextAtMs, reason, payload = null } = change
      const inDoubt = change.inDoubt === undefined ? null : Number(change.inDoubt)
      update.run(STATE_CODES[state], attempts, nextAtMs, reason ?? null, inDoubt, payload, id)
    },
    remove(id: number): void {
      remove.run(id)
    },
    withdraw({ dropDeliveries = [], changeDeliveries = [] }: DeleteOptions): void {
      for (const id of dropDeliveries) remove.run(id)
      for (const { id, payload } of changeDeliveries) setPayload.run(payload, id)
    },
  }
}
