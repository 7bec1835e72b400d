// Limits that every implementation of the catalog port shares, and the checks that hold them.
import { StoreError } from '../registry/ports/store-error.ts'
import type { JobNote } from '../registry/ports/catalog-job-notes.ts'
import type { RecordedPin } from '../registry/ports/catalog-pins.ts'
import type { DeleteOptions } from '../registry/ports/catalog-pushes.ts'
import type { Delivery, DeliveryChange, NewDelivery } from '../registry/ports/outbox.ts'

/**
 * Referrers that one answer may hold: an image index of 4 MiB lists no more, and a reader of one
 * list must not keep the thread busy for longer than a few milliseconds.
 */
export const MAX_REFERRERS = 10_000

/** Registries that one answer may hold: four times those that clients may name at once. */
export const MAX_DELIVERERS = 1_000

/**
 * Repositories that are looked up for content that leaves, and whose it is, too: a millisecond.
 */
export const MAX_LOSING_REPOSITORIES = 1_000

/** Entries of one key that one answer may hold, for the same reason. */
export const MAX_DELIVERIES_OF_KEY = 10_000

/** Images that have left and are remembered: some 4 MiB of the catalog. */
export const MAX_GHOSTS = 100_000

/**
 * A payload names a manifest and its tags; 10^5 entries of this size would still fit on a small
 * disk.
 */
const MAX_PAYLOAD_BYTES = 64 * 1024
/** Far above a repository's key, which is the longest that is in use. */
const MAX_KEY_BYTES = 1024
/** A pattern over names and one over tags, as the configuration takes them. */
const MAX_PIN_BYTES = 1024
/** Some numbers, and a reason as long as that of an entry of the outbox, however it is escaped. */
const MAX_NOTE_BYTES = 8 * 1024
/** What fits on an operator's screen. */
export const MAX_REASON_LENGTH = 1000

/** @throws StoreError io when something of it is too long, or its id is none */
export function assertBounded(delivery: NewDelivery): void {
  const { id, key, payload } = delivery
  if (!Number.isSafeInteger(id) || id <= 0)
    throw new StoreError('io', `an entry of the outbox cannot have the id ${id}`)
  assertLength('key of an entry of the outbox', key, MAX_KEY_BYTES)
  assertLength('payload of an entry of the outbox', payload, MAX_PAYLOAD_BYTES)
}

/** @throws StoreError io when something of it is too long */
export function assertBoundedPin({ name, body }: RecordedPin): void {
  assertLength('name of a pin', name, MAX_PIN_BYTES)
  assertLength('text of a pin', body, MAX_PIN_BYTES)
}

/** @throws StoreError io when something of it is too long */
export function assertBoundedNote({ name, body }: JobNote): void {
  assertLength('name of a job', name, MAX_KEY_BYTES)
  assertLength('note of a job', body, MAX_NOTE_BYTES)
}

/** As they are. @throws StoreError io for a payload that is too long */
export function boundedRests<Options extends DeleteOptions>(
  options?: Options,
): Options | undefined {
  for (const { payload } of options?.changeDeliveries ?? [])
    assertLength('payload of an entry of the outbox', payload, MAX_PAYLOAD_BYTES)
  return options
}

/**
 * With the reason cut where an operator would stop reading.
 * @throws StoreError io for a payload that is too long
 */
export function boundedChange(change: DeliveryChange): DeliveryChange {
  assertLength('payload of an entry of the outbox', change.payload ?? '', MAX_PAYLOAD_BYTES)
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
  throw new StoreError('io', `the ${name} has ${bytes} bytes of ${maxBytes}`)
}

/** Of `limit` entries that are due, as many as one of `destinations` gives. */
export function shareOf(limit: number, destinations: number): number {
  return Math.max(1, Math.floor(limit / destinations))
}

export function byTime(a: Delivery, b: Delivery): number {
  return a.nextAtMs - b.nextAtMs || a.id - b.id
}
