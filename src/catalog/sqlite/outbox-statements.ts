// The SQL of writes to the outbox, prepared once per connection. Which entry of a key is the first,
// and how many there are, is kept by triggers.
import type { Database } from 'better-sqlite3'
import type { DeleteOptions } from '../../registry/ports/catalog-pushes.ts'
import type { Delivery, DeliveryChange, NewDelivery } from '../../registry/ports/outbox.ts'
import { MAX_REASON_LENGTH } from '../bounds.ts'
import { STATE_CODES } from './encoding.ts'

export function prepareOutboxWrites(database: Database) {
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
    add({ id, carrier, key, payload, createdAtMs }: NewDelivery): void {
      insert.run(id, carrier, key, payload, createdAtMs, createdAtMs)
    },
    change(id: Delivery['id'], change: DeliveryChange): void {
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
    withdraw({ dropDeliveries = [], changeDeliveries = [] }: DeleteOptions): void {
      for (const id of dropDeliveries) remove.run(id)
      for (const { id, payload } of changeDeliveries) setPayload.run(payload, id)
    },
  }
}
