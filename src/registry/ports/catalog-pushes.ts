// The catalog's port to what clients do: pushes, deletes, and blobs whose push has yet to end.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { ContentClass } from './blob-store-content.ts'
import type { RecordedManifest } from './catalog-content.ts'
import type { NewDelivery } from './outbox.ts'

/** A manifest that a client pushed, with everything that follows from it, for one transaction. */
export interface RecordPush {
  readonly repository: Repository
  readonly manifest: RecordedManifest
  readonly contentClass: ContentClass
  /** Point to the manifest from now on; empty for a push by digest alone. */
  readonly tags: readonly Tag[]
  /**
   * Of what the manifest lists: what is known to be in this repository, as the upstream said or, in
   * a rebuild, a fact. Members with this, and nothing below them. Default none.
   */
  readonly confirmed?: readonly Digest[]
  /** What `RecordedTag.local` becomes. */
  readonly local: boolean
  /** What must also go elsewhere. */
  readonly delivery?: NewDelivery
  /**
   * A client has just sent it: it completes one push of each pending blob that it lists, unless it
   * is a manifest here already. Default it is told again.
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

/** What a client was told is kept in this repository, and no manifest came for so far. */
export interface PendingBlob {
  readonly repository: Repository
  readonly digest: Digest
  /** Of the last time that it was told so. */
  readonly acknowledgedAtMs: number
}

/** Pending blobs that were acknowledged before the one or after the other. */
export interface PendingPage {
  readonly beforeMs: number
  readonly afterMs: number
  readonly limit: number
}

export interface PushReads {
  /**
   * A manifest that was deleted took it along (R255), and nobody has deleted it by itself since.
   * True also for what was brought again.
   */
  wasTaken(repository: Repository, digest: Digest): Promise<boolean>
  /**
   * The oldest first. A blob is pending as often as it was acknowledged, until as many new
   * manifests complete that, or the blob itself is deleted.
   */
  listPendingBlobs(page: PendingPage): Promise<readonly PendingBlob[]>
}

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
   * Takes content out of a repository: its membership and every tag of that repository that points
   * to it, in one transaction. A manifest of that repository takes along what it lists, and nothing
   * else there lists: as a layer, foreign or not, never as a subject (R255). What is a
   * manifest there stays, and with it what that lists; so does a pending blob, until
   * `expirePendingBlob`. Bytes, edges and other repositories MUST NOT be touched, nor what tags
   * remember as `previous`. When it is no member, only that it was taken along is forgotten, and
   * the options have an effect.
   */
  removeMember(repository: Repository, digest: Digest, options?: DeleteOptions): Promise<void>
  /**
   * Whoever was told so has had its time. If a delete would have taken the blob along meanwhile it
   * goes now, as it would have then, unless something there lists it. No effect when it was
   * acknowledged again.
   */
  expirePendingBlob(pending: PendingBlob): Promise<void>
}
