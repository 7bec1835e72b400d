// The entries of the outbox, as the catalog keeps them (catalog.ts): what is still to be taken
// elsewhere, and how far that has come.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'

/**
 * Who carries an entry of the outbox away, named after the push mode that makes the entries; a
 * closed set, and a label of metrics.
 */
export const CARRIERS = ['queue'] as const
export type Carrier = (typeof CARRIERS)[number]

/** An id as text: no queue ever counted further than a number can. */
export const ENTRY_ID = /^\d{1,15}$/

/** An entry for the outbox: durable with the transaction that it comes in. */
export interface NewDelivery {
  /** From `sequence()`: entries of one key are carried in the order of their ids. */
  readonly id: number
  readonly carrier: Carrier
  /** What order is kept in; for `queue` the repository's key. */
  readonly key: string
  /**
   * The carrier's own text; see registry/deliveries/delivery-payload.ts. At most 64 KiB as UTF-8;
   * what is longer is refused.
   */
  readonly payload: string
  readonly createdAtMs: number
}

export interface Delivery extends NewDelivery {
  /** `parked`: nobody tries it until an operator says so; what comes after it goes on. */
  readonly state: 'waiting' | 'parked'
  /** Attempts that failed. */
  readonly attempts: number
  /** Wall clock: not tried before. */
  readonly nextAtMs: number
  /**
   * An attempt was begun and its end was never recorded: it may have reached the other side, or
   * still be on its way there.
   */
  readonly inDoubt: boolean
  /** Why the last attempt failed, for people; nothing secret. Cut after 1,000 characters. */
  readonly reason: string | undefined
}

/**
 * What is not given stays as it is. Whoever changes a part MUST leave out the rest: attempts end
 * while pushes and operators change entries.
 */
export interface DeliveryChange {
  readonly state?: Delivery['state']
  readonly attempts?: number
  readonly nextAtMs?: number
  /** For whoever carries entries; nobody else knows. */
  readonly inDoubt?: boolean
  /** Given as undefined: none any more. */
  readonly reason?: string | undefined
  /** Comes after whatever the reason is by then, where `reason` is not given. */
  readonly alsoReason?: string
  /** What is left to do of an entry of which a later one has overtaken a part. At most 64 KiB. */
  readonly payload?: string
}

/** The tags of a delivery that is at the upstream now. */
export interface SettledTags {
  readonly repository: Repository
  readonly digest: Digest
  readonly tags: readonly Tag[]
  readonly atMs: number
  /**
   * It stays here, where the repository keeps what is pushed to it by now, or the entry was given
   * up: it counts as pushed. Default it does not.
   */
  readonly isKept?: boolean
}

export interface OutboxTotals {
  readonly carrier: Carrier
  readonly waiting: number
  readonly parked: number
  /** Of all that is not parked; undefined when there is none. */
  readonly oldestAtMs: number | undefined
}

export interface OutboxReads {
  /** In the order of their ids. */
  listDeliveries(page: { after?: number; limit: number }): Promise<readonly Delivery[]>
  findDelivery(id: number): Promise<Delivery | undefined>
  /** All of one key, in order; at most 10,000. */
  listDeliveriesOf(key: string): Promise<readonly Delivery[]>
  /**
   * What can be tried: for each key the carrier's first entry that is waiting, by id; parked ones
   * are passed over. Also those that are not due yet: the caller reads `nextAtMs`. Of each
   * destination, which is the key up to its first `/`, the same share of `limit`, at least one, so
   * that none hides another; of more destinations than `limit` those where something is due first.
   * Ordered by `nextAtMs`, then by id.
   */
  listDue(page: { carrier: Carrier; limit: number }): Promise<readonly Delivery[]>
  /** One for every carrier, also when it has nothing to do. */
  outboxTotals(): Promise<readonly OutboxTotals[]>
}

export interface OutboxWrites {
  /**
   * An entry by itself, outside a push; for a rebuild, and for carriers without one. Idempotent by
   * id: the one that is there stays.
   */
  recordDelivery(delivery: NewDelivery): Promise<void>
  /** No effect when the entry is gone. */
  changeDelivery(id: number, change: DeliveryChange): Promise<void>
  /**
   * The entry goes. `settled`: what it carried is at the upstream now, so those of its tags that
   * still point to `digest` are `local` no longer and count as checked at `atMs`, unless the entry
   * of a later push of the tag is still to come. What it carried, and what that lists, is no longer
   * undelivered, unless something else there is that needs it; what nothing holds any more becomes
   * cached. Not so when a delete drops the entry: what it carried is nowhere else.
   */
  removeDelivery(id: number, settled?: SettledTags): Promise<void>
}
