// The catalog's port to what clients do: pushes, deletes, and blobs whose push has yet to end.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { RecordedManifest } from './catalog-content.ts'
import type { AsOf } from './catalog-space.ts'
import type { Hold, SaidHold } from './holds.ts'
import type { Order } from './order.ts'
import type { NewDelivery } from './outbox.ts'

/** A manifest that a client pushed, with everything that follows from it, for one transaction. */
export interface RecordPush {
  readonly repository: Repository
  readonly manifest: RecordedManifest
  /**
   * Of the manifest and all that is kept below it there. Its tags are `RecordedTag.local` as
   * `isLocalBy` says.
   */
  readonly hold: SaidHold
  /** Point to the manifest from now on; empty for a push by digest alone. */
  readonly tags: readonly Tag[]
  /**
   * Of what the manifest lists: what is known to be in this repository, as the upstream said or, in
   * a rebuild, a fact. Members with this, and nothing below them. Default none.
   */
  readonly confirmed?: readonly Digest[]
  /**
   * Below the manifest, in this repository, and durable: kept from now on, where it is here, if a
   * hold is said. Default none: what was not kept stays cached.
   */
  readonly durable?: readonly Digest[]
  /** What must also go elsewhere. */
  readonly delivery?: NewDelivery
  /** Of its tags. Default they have none, or keep what they had where they point already. */
  readonly order?: Order
  /**
   * A client has just sent it: it completes one push of each pending blob that it lists. Where it
   * is a manifest already it MUST complete none, unless all that it lists, and that is not to be
   * had from elsewhere, is pending, and a configuration of more than EMPTY_CONFIG_BYTES is among
   * it. Default it is told again.
   */
  readonly completes?: boolean
  readonly atMs: number
}

/** What a delete takes with it, in its transaction. */
export interface DeleteOptions {
  /**
   * Ids of entries of the outbox whose only purpose is deleted; those that are not there are passed
   * over. Default none.
   */
  readonly dropDeliveries?: readonly number[]
  /**
   * What is left to do of entries of which only a part is deleted; passed over as those. At most 64
   * KiB each. Default none.
   */
  readonly changeDeliveries?: readonly Pick<NewDelivery, 'id' | 'payload'>[]
}

export interface RemoveOptions extends DeleteOptions {
  /**
   * Then nothing is taken out that is kept, but for others alone, or that whoever may push to the
   * repository was told is there: it is pending or leased. Default it goes.
   */
  readonly unlessPromised?: boolean
  /**
   * Then nothing is done where whoever may push to the repository was told that it is there: it is
   * pending or leased. Default it goes.
   */
  readonly unlessLeased?: AsOf
  /**
   * Manifests of the repository that it lists, or that are about it, follow it since then
   * (catalog-followers.ts); of what is not held there, those alone that are not held either.
   * Default they stay by themselves.
   */
  readonly followedSinceMs?: number
  /**
   * Of a manifest: whoever deleted it then may push it again within the grace, wherever else it is
   * and leaves (`deletedAt`). Default nobody counts on that.
   */
  readonly deletedAtMs?: number
}

/**
 * The longest time between the first blob of a push and its manifest: half a terabyte at 50 Mbit/s.
 * It costs nothing where pushes end in order, since with their manifests their blobs are no
 * longer pending.
 */
export const PUSH_MAX_MS = 24 * 60 * 60 * 1000

/** What a client was told is kept in this repository, and no manifest came for so far. */
export interface PendingBlob {
  readonly repository: Repository
  readonly digest: Digest
  /** Of the last time that it was told so. */
  readonly acknowledgedAtMs: number
}

/** Pending blobs that were acknowledged before. */
export interface PendingPage {
  readonly beforeMs: number
  readonly limit: number
}

export interface PushReads {
  /** Why it stays in this repository; empty for what is there as long as there is room. */
  holdsOf(repository: Repository, digest: Digest): Promise<readonly Hold[]>
  /**
   * Kept for what others hold alone: this repository could lose it, and nobody's push with it.
   * False for what is not kept, or no member; for what nobody holds, as older versions kept it; and
   * where it is not known what is yet to be delivered.
   */
  isKeptForOthers(repository: Repository, digest: Digest): Promise<boolean>
  /**
   * A manifest that was deleted took it along (R255), and nobody has deleted it by itself since.
   * True also for what was brought again.
   */
  wasTaken(repository: Repository, digest: Digest): Promise<boolean>
  /** See `listPendingBlobs`. */
  isPending(repository: Repository, digest: Digest): Promise<boolean>
  /**
   * The oldest first. A blob is pending as often as it was acknowledged, until as many new
   * manifests complete that, or the blob itself is deleted.
   */
  listPendingBlobs(page: PendingPage): Promise<readonly PendingBlob[]>
}

/**
 * `{}`, which artifacts share. One that says more is an image's own: it names the layers, so
 * whoever sends it sends that image.
 */
export const EMPTY_CONFIG_BYTES = 2

export interface PushWrites {
  /**
   * A push: content, edges, memberships, tags and the outbox entry in one transaction. The manifest
   * and `confirmed` become members. Nothing else MUST become one, here or in another repository,
   * now or when the manifest is recorded in another one later: what a client lists proves nothing,
   * and of sizes neither (R253). Its tags point to it whatever they were, are as `local` as it
   * says, and remember no `previous`. Durable when it resolves (synchronous=FULL). Idempotent.
   * @throws StoreError full, io (also for a payload that is too long), busy
   */
  recordPush(record: RecordPush): Promise<void>
  /** A client deleted the tag: it goes, local or not. No effect on tags if it is not here. */
  deleteTag(repository: Repository, tag: Tag, options?: DeleteOptions): Promise<void>
  /**
   * Takes content out of a repository: its membership and every tag of that repository that
   * points to it, in one transaction. What nothing holds after that becomes cached. A manifest of
   * that repository takes along what it lists, and nothing else there lists: as a layer, foreign
   * or not, never as a subject (R255). What is a manifest there stays, and with it what that
   * lists; so does a pending blob, until `expirePendingBlob`; one that is leased is pending from
   * then on, until its lease is over. Bytes, edges and other repositories MUST NOT be touched,
   * nor what tags remember as `previous`. When it is no member, only that it was taken along is
   * forgotten, and the options have an effect. MUST resolve to false where it stays by
   * `unlessPromised` or `unlessLeased`, and to true otherwise.
   */
  removeMember(repository: Repository, digest: Digest, options?: RemoveOptions): Promise<boolean>
  /**
   * Whoever was told so has had its time. If a delete would have taken the blob along meanwhile it
   * goes now, as it would have then, unless something there lists it. No effect when it was
   * acknowledged again.
   */
  expirePendingBlob(pending: PendingBlob): Promise<void>
}
