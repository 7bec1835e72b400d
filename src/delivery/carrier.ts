// What the outbox and a carrier say to each other: how an attempt to carry one entry is made, and
// how it may end.
import type { Digest } from '../oci/digest.ts'
import type { Repository, Tag } from '../oci/reference.ts'
import type { Delivery } from '../registry/ports/outbox.ts'

/** Found where a later push has pointed it, which did not go through the outbox. */
export interface LeftTag {
  readonly tag: Tag
  readonly at: Digest
}

/** What an entry brought to the upstream, so that its tags need not be kept here any longer. */
export interface Settled {
  readonly repository: Repository
  readonly digest: Digest
  /** With those of a later push. */
  readonly tags: readonly Tag[]
  /** Of `tags` those that a later push has pointed elsewhere, and where. */
  readonly left: readonly LeftTag[]
}

/**
 * `reason` and `hint` are for the operator and the log: they may name hosts, and hold nothing
 * secret.
 */
export type DeliveryOutcome =
  | {
      readonly kind: 'delivered'
      /** Undefined for what no tag depends on. */
      readonly settled: Settled | undefined
    }
  | {
      readonly kind: 'retry'
      readonly reason: string
      readonly hint: string | undefined
      /** What the other side asked for; the outbox waits at least so long, within its own limit. */
      readonly retryAfterMs?: number | undefined
      /** Nobody answered: it is tried at once when somebody there answers again. */
      readonly isUnreachable?: boolean
      /**
       * Parks it when it has failed like this for so long in this process. Not given: it is tried
       * for ever.
       */
      readonly patienceMs?: number
    }
  | { readonly kind: 'park'; readonly reason: string; readonly hint: string | undefined }

/** One attempt, from its carrier's side. */
export interface Attempt {
  /** Aborts when the process stops. What is under way then counts as not done. */
  readonly signal: AbortSignal
  /**
   * Runs a request that would do harm if it arrived after a later entry's. That it is under way is
   * durable before it is sent, so that nothing overtakes it, in this process or the next, before it
   * can no longer arrive. `isFinalFailure`: does this error show that the other side is done with
   * the request? Sends nothing, and ends the attempt, when the entry was dropped or changed since
   * it began.
   * @throws what `request` throws; StoreError, and then nothing was sent
   */
  send<T>(request: () => Promise<T>, isFinalFailure: (error: unknown) => boolean): Promise<T>
}

/**
 * Carries one entry. MUST be idempotent: it is called again after any failure and after a crash at
 * any point. What it throws counts as a failure that may pass.
 */
export type Carry = (delivery: Delivery, attempt: Attempt) => Promise<DeliveryOutcome>
