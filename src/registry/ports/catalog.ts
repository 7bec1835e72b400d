// The port to facts about bytes: which repository holds what, which manifest names what, where a
// tag points and when that was checked. Content is truth for bytes; the catalog is truth for names.
// Values in, values out, always asynchronous. A write's promise resolves once the write is durable;
// writes are applied in the order of the calls.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost, Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import type { ContentClass } from './blob-store.ts'
import type { Carrier, Delivery, DeliveryChange, NewDelivery, OutboxTotals } from './outbox.ts'

/**
 * What a child is to its parent manifest. `subject` edges point from a referrer to what it refers
 * to.
 */
export type EdgeKind = 'manifest' | 'config' | 'layer' | 'subject'

export interface Edge {
  readonly child: Digest
  readonly kind: EdgeKind
  /** As the parent's descriptor says; untrusted until the child itself was verified. */
  readonly sizeBytes: number
  readonly mediaType: string
  /** Of a child of an index: `os/architecture[/variant]`, else undefined. */
  readonly platform: string | undefined
  /**
   * Layers that are fetched from elsewhere (R64) are not: an image is complete without them, and
   * they become no members by it.
   */
  readonly distributable: boolean
}

/**
 * Why a repository is known to hold some content (R179): recorded as a manifest of its upstream;
 * listed by one; or by itself, because the upstream said so or a client brought it, which says
 * nothing of what it lists.
 */
export type MembershipReason = 'manifest' | 'listed' | 'confirmed'

export interface ManifestFact {
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  readonly edges: readonly Edge[]
}

export interface ContentFact {
  readonly digest: Digest
  readonly sizeBytes: number
  /**
   * Set for what is a manifest anywhere; as which one in a repository is `ManifestFact.mediaType`.
   */
  readonly mediaType: string | undefined
  readonly contentClass: ContentClass
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
}

export interface TagFact {
  readonly tag: Tag
  readonly digest: Digest
  /** When the upstream last confirmed it, wall clock. */
  readonly checkedAtMs: number
  /** When it first pointed to this digest here. */
  readonly changedAtMs: number
  /** Undefined while nothing that the tag pointed to before was complete here. */
  readonly previous: PreviousDigest | undefined
  /**
   * Pushed here and not (or not yet) at an upstream: this edge is the truth about it, and no
   * upstream is asked. Always true under `localhost`; elsewhere until its delivery is finished.
   */
  readonly local: boolean
}

/**
 * The last digest of a tag that was complete here when the tag moved on: what is left should the
 * newer one never get here.
 */
export interface PreviousDigest {
  readonly digest: Digest
  /** When the upstream last confirmed that the tag pointed to it. */
  readonly checkedAtMs: number
}

/** When a tag was confirmed, and what is to be remembered should it have moved. */
export interface TagCheck {
  readonly checkedAtMs: number
  /** Not given: what is known as previous stays. */
  readonly previous?: PreviousDigest | undefined
}

/** An answer of an upstream that is kept as text: a tag list or the referrers of a digest. */
export interface ListFact {
  readonly body: string
  readonly checkedAtMs: number
}

export interface CatalogTotals {
  readonly repositories: number
  readonly tags: number
  readonly manifests: number
  readonly blobs: number
  readonly contentBytes: number
}

export interface Page {
  /** Exclusive; need not exist. */
  readonly after?: string
  readonly limit: number
}

export interface RecordManifest {
  readonly repository: Repository
  readonly manifest: ManifestFact
  readonly contentClass: ContentClass
  /**
   * Also points this tag at the manifest, checked now; the rest is as in `recordTag`, and so a
   * local tag is left alone.
   */
  readonly tag?: Tag
  readonly previous?: PreviousDigest | undefined
  readonly atMs: number
}

export interface RecordBlob {
  readonly repository: Repository
  readonly digest: Digest
  readonly sizeBytes: number
  readonly contentClass: ContentClass
  readonly atMs: number
  /**
   * A client is about to be told that it is kept in this repository: it is pending until
   * the manifest of its push comes. Default it is not.
   */
  readonly acknowledgedAtMs?: number
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

/** A manifest that a client pushed, with everything that follows from it, for one transaction. */
export interface RecordPush {
  readonly repository: Repository
  readonly manifest: ManifestFact
  readonly contentClass: ContentClass
  /** Point to the manifest from now on; empty for a push by digest alone. */
  readonly tags: readonly Tag[]
  /**
   * Of what the manifest lists: what the upstream said is in this repository. Members with this,
   * and nothing below them. Default none.
   */
  readonly elsewhere?: readonly Digest[]
  /** What `TagFact.local` becomes. */
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

/** What belongs to a repository. */
export interface Member {
  /**
   * The bytes came under this repository, from its upstream or a client (R252); else it is only
   * said to hold them.
   */
  readonly delivered: boolean
  /** As which manifest `findManifest` finds it; undefined when it does not. */
  readonly mediaType: string | undefined
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

export interface Catalog {
  /**
   * The repository's manifest with this digest, if it was recorded or pushed there and its content
   * is recorded; with the media type that it was given last there, whatever it was given elsewhere
   * (R251).
   */
  findManifest(repository: Repository, digest: Digest): Promise<ManifestFact | undefined>
  /** The content's own row, whatever the repository; undefined when only named by a parent. */
  findContent(digest: Digest): Promise<ContentFact | undefined>
  /**
   * How `digest` belongs to this repository (R96, R179); undefined when it does not. MUST say
   * nothing of what it is in another one.
   */
  findMember(repository: Repository, digest: Digest): Promise<Member | undefined>
  /**
   * A manifest that was deleted took it along (R255), and nobody has deleted it by itself since.
   * True also for what was brought again.
   */
  wasTaken(repository: Repository, digest: Digest): Promise<boolean>
  /**
   * Registries of the repositories under which its bytes came, also where they were taken along
   * since, each once; at most 1,000, in ASCII order.
   */
  listDeliverers(digest: Digest): Promise<readonly RegistryHost[]>
  /**
   * The recorded size of what was delivered here; else the one that all manifests which this
   * repository's upstream gave say of `digest`, as far as a bounded number of them was asked; else
   * the recorded size of member content. Undefined where nobody says one, or two do not agree: then
   * its upstream is to be asked (R253). MUST NOT look at other repositories' manifests.
   */
  sizeOf(repository: Repository, digest: Digest): Promise<number | undefined>
  findTag(repository: Repository, tag: Tag): Promise<TagFact | undefined>
  /** In ASCII order. */
  listTags(repository: Repository, page: Page): Promise<readonly TagFact[]>
  /**
   * Only those that are `local`, in ASCII order: what an upstream's list does not hold yet. Cheap
   * when there are none.
   */
  listLocalTags(repository: Repository, page: Page): Promise<readonly TagFact[]>
  /**
   * Repositories that hold a manifest or a tag, or had one pushed since this catalog was begun, in
   * ASCII order of their keys.
   */
  listRepositories(page: Page): Promise<readonly RepositoryKey[]>
  /** Manifests of one repository whose subject is `digest`, by digest; at most 10,000. */
  listReferrers(repository: Repository, digest: Digest): Promise<readonly Digest[]>
  findList(repository: Repository, key: string): Promise<ListFact | undefined>
  totals(): Promise<CatalogTotals>

  /**
   * A manifest as an upstream gave it: content, its edges, its membership and that of everything it
   * lists, in one transaction. Idempotent. Membership goes down: what such a manifest lists is a
   * member too, and what that lists in turn, whichever an upstream gave first. Not so a `subject`:
   * whoever may store a referrer MUST NOT thereby gain what it refers to; nor what is not
   * `distributable` (R250). What was taken out of a repository below a manifest comes back only
   * with a manifest that lists it and that no upstream had given or listed there before: recording
   * one again adds nothing.
   */
  recordManifest(record: RecordManifest): Promise<void>
  /**
   * Content and membership of a blob whose bytes came under this repository, whoever brought them;
   * never of what it lists should it be a manifest as well. Idempotent; `kept` is never taken back
   * to `cached`.
   */
  recordBlob(record: RecordBlob): Promise<void>
  /**
   * An upstream said that `digest` is in this repository (its HEAD or GET in this namespace
   * succeeded). Nothing below it becomes a member.
   */
  recordMember(repository: Repository, digest: Digest, atMs: number): Promise<void>
  /**
   * `changedAtMs` moves only when the digest does. The manifest need not be here yet: a HEAD tells
   * where a tag points long before anybody asks for the document. So `previous` replaces what was
   * known when the tag moves by this, and is ignored when it does not. A tag that is `local` MUST
   * be left exactly as it is: what an upstream answered while a client pushed must not take the
   * push back.
   */
  recordTag(repository: Repository, tag: Tag, digest: Digest, check: TagCheck): Promise<void>
  recordList(repository: Repository, key: string, list: ListFact): Promise<void>
  /**
   * Notes that content was served. Batched: MUST NOT cost a commit per call, and may be lost in a
   * crash.
   */
  noteUse(digest: Digest, atMs: number): void
  /**
   * The upstream no longer has the tag. No effect if it is not here, or if it is `local`: the
   * upstream need not have it yet.
   */
  forgetTag(repository: Repository, tag: Tag): Promise<void>
  /** A client deleted the tag: it goes, local or not. No effect on tags if it is not here. */
  deleteTag(repository: Repository, tag: Tag, options?: DeleteOptions): Promise<void>
  /**
   * The bytes are gone from disk: the row goes, edges and memberships stay. No effect on `kept`
   * content that some repository holds.
   */
  forgetContent(digest: Digest): Promise<void>
  /**
   * A push: content, edges, memberships, tags and the outbox entry in one transaction. The manifest
   * and `elsewhere` become members. Nothing else MUST become one, here or in another repository,
   * now or when the manifest is recorded in another one later: what a client lists proves nothing,
   * and of sizes neither (R253). Its tags point to it whatever they were, are as `local` as it
   * says, and remember no `previous`. Durable when it resolves (synchronous=FULL). Idempotent.
   * @throws StoreError full, io (also for a payload that is too long), busy
   */
  recordPush(record: RecordPush): Promise<void>
  /**
   * Takes content out of a repository: its membership and every tag of that repository that points
   * to it, in one transaction. A manifest of that repository takes along what it lists, and nothing
   * else there lists: as a layer, from elsewhere or not, never as a subject (R255). What is a
   * manifest there stays, and with it what that lists; so does a pending blob, until
   * `expirePendingBlob`. Bytes, edges and other repositories MUST NOT be touched, nor what tags
   * remember as `previous`. When it is no member, only that it was taken along is forgotten, and
   * the options have an effect.
   */
  removeMember(repository: Repository, digest: Digest, options?: DeleteOptions): Promise<void>
  /**
   * The oldest first. A blob is pending as often as it was acknowledged, until as many new
   * manifests complete that, or the blob itself is deleted.
   */
  listPendingBlobs(page: PendingPage): Promise<readonly PendingBlob[]>
  /**
   * Whoever was told so has had its time. If a delete would have taken the blob along meanwhile it
   * goes now, as it would have then, unless something there lists it. No effect when it was
   * acknowledged again.
   */
  expirePendingBlob(pending: PendingBlob): Promise<void>
  /**
   * Repositories of `registry` that hold `digest` as a member with its content present, in ASCII
   * order.
   */
  listHolders(
    digest: Digest,
    page: { registry: RegistryHost; limit: number },
  ): Promise<readonly RepositoryKey[]>
  /**
   * All that know `digest` as theirs, whatever their registry and whether it is here or not, in no
   * order; `limit` of them at most.
   */
  listRepositoriesOf(digest: Digest, limit: number): Promise<readonly RepositoryKey[]>
  /**
   * A positive integer larger than any that this catalog gave before, in this process or an earlier
   * one, whatever the clock does. Synchronous: a range is reserved at open. @throws StoreError
   * full, io when none could be reserved
   */
  sequence(): number
  /**
   * After this `sequence()` gives only larger numbers than `floor`. For a rebuild from what lies on
   * disk.
   */
  raiseSequence(floor: number): Promise<void>
  /**
   * An entry by itself, outside a push; for a rebuild, and for carriers without one. Idempotent by
   * id: the one that is there stays.
   */
  recordDelivery(delivery: NewDelivery): Promise<void>
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
  /** No effect when the entry is gone. */
  changeDelivery(id: number, change: DeliveryChange): Promise<void>
  /**
   * The entry goes. `settled`: what it carried is at the upstream now, so those of its tags that
   * still point to `digest` are `local` no longer and count as checked at `atMs`, unless the entry
   * of a later push of the tag is still to come.
   */
  removeDelivery(
    id: number,
    settled?: { repository: Repository; digest: Digest; tags: readonly Tag[]; atMs: number },
  ): Promise<void>
  /** One for every carrier, also when it has nothing to do. */
  outboxTotals(): Promise<readonly OutboxTotals[]>
  /**
   * Of this file, for as long as it lives; one that is begun anew has another. Facts say under
   * which catalog they were told.
   */
  readonly identity: string
  /**
   * False until markRebuilt was called: the file was begun anew, or by an older version. `facts/`
   * are to be recorded before anybody asks.
   */
  readonly rebuilt: boolean
  markRebuilt(): Promise<void>
  /** Every digest with a content row, by key, for reconciling with the store. */
  listContent(page: { after?: Digest; limit: number }): Promise<readonly ContentFact[]>
  /** Waits for what was noted, then closes. Later calls reject. */
  close(): Promise<void>
}
