// Limits that every implementation of the catalog port shares, and the checks that hold them.
import { StoreError } from '../registry/ports/store-error.ts'
import type { DeleteOptions } from '../registry/ports/catalog-pushes.ts'
import type { Delivery, DeliveryChange, NewDelivery } from '../registry/ports/outbox.ts'

/**
 * Referrers that one answer may hold: an image index of 4 MiB lists no more, and a reader of one
 * list must not keep the thread busy for longer than a few milliseconds.
 */
export const MAX_REFERRERS = 10_000

/** Registries that one answer may hold: four times those that clients may name at once. */
export const MAX_DELIVERERS = 1_000

/** Entries of one key that one answer may hold, for the same reason. */
export const MAX_DELIVERIES_OF_KEY = 10_000

/**
 * A payload names a manifest and its tags; 10^5 entries of this size would still fit on a small
 * disk.
 */
const MAX_PAYLOAD_BYTES = 64 * 1024
/** Far above a repository's key, which is the longest that is in use. */
const MAX_KEY_BYTES = 1024
/** What fits on an operator's screen. */
export const MAX_REASON_LENGTH = 1000

/** @throws StoreError io when something of it is too long, or its id is none */
export function assertBounded(delivery: NewDelivery): void {
  const { id, key, payload } = delivery
  if (!Number.isSafeInteger(id) || id <= 0)
    throw new StoreError('io', `an entry of the outbox cannot have the id ${id}`)
  assertLength('key', key, MAX_KEY_BYTES)
  assertLength('payload', payload, MAX_PAYLOAD_BYTES)
}

/** As they are. @throws StoreError io for a payload that is too long */
export function boundedRests(options: DeleteOptions = {}): DeleteOptions {
  for (const { payload } of options.changeDeliveries ?? [])
    assertLength('payload', payload, MAX_PAYLOAD_BYTES)
  return options
}

/**
 * With the reason cut where an operator would stop reading.
 * @throws StoreError io for a payload that is too long
 */
export function boundedChange(change: DeliveryChange): DeliveryChange {
  assertLength('payload', change.payload ?? '', MAX_PAYLOAD_BYTES)
  const { reason, alsoReason } = change
  return {
    ...change,
    ...(reason === undefined ? {} : { reason: reason.slice(0, MAX_REASON_LENGTH) }),
    ...(alsoReason === undefined ? {} : { alsoReason: alsoReason.slice(0, MAX_REASON_LENGTH) }),
  }
}

function assertLength(name: string, text: string, maxBytes: number): void {
  const bytes = Buffer.byteLength(text)
  if (bytes <= maxBytes) return
  throw new StoreError(
    'io',
    `the ${name} of an entry of the outbox has ${bytes} bytes of ${maxBytes}`,
  )
}

/** Of `limit` entries that are due, as many as one of `destinations` gives. */
export function shareOf(limit: number, destinations: number): number {
  return Math.max(1, Math.floor(limit / destinations))
}

export function byTime(a: Delivery, b: Delivery): number {
  return a.nextAtMs - b.nextAtMs || a.id - b.id
}
