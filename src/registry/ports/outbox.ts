// The entries of the outbox, as the catalog keeps them (catalog.ts): what is still to be taken
// elsewhere, and how far that has come.

/** Who carries an entry of the outbox away; a closed set, and a label of metrics. */
export const CARRIERS = ['queue'] as const
export type Carrier = (typeof CARRIERS)[number]

/** An entry for the outbox: durable with the transaction that it comes in. */
export interface NewDelivery {
  /** From `sequence()`: entries of one key are carried in the order of their ids. */
  readonly id: number
  readonly carrier: Carrier
  /** What order is kept in; for `queue` the repository's key. */
  readonly key: string
  /**
   * The carrier's own text; see registry/delivery-payload.ts. At most 64 KiB as UTF-8; what is
   * longer is refused.
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

export interface OutboxTotals {
  readonly carrier: Carrier
  readonly waiting: number
  readonly parked: number
  /** Of all that is not parked; undefined when there is none. */
  readonly oldestAtMs: number | undefined
}
