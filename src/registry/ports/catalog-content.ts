// The catalog's port to content: what bytes are here, what manifests list, and what belongs to
// which repository, by whose word (docs/adr/0004-membership.md).
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost, Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import type { ContentClass } from './blob-store-content.ts'
import type { Hold, SaidHold } from './holds.ts'
import type { PageRequest, PreviousDigest } from './catalog-tags.ts'

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
   * Foreign layers, which are fetched from elsewhere (R64), are not: an image is complete without
   * them, and they become no members by it.
   */
  readonly distributable: boolean
}

/**
 * Why a repository is known to hold some content (R179): recorded as a manifest of its upstream;
 * listed by one; or by itself, because the upstream said so or a client brought it, which says
 * nothing of what it lists.
 */
export type MembershipReason = 'manifest' | 'listed' | 'confirmed'

export interface RecordedManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  readonly edges: readonly Edge[]
}

export interface RecordedContent {
  readonly digest: Digest
  readonly sizeBytes: number
  /**
   * Set for what is a manifest anywhere; as which one in a repository says
   * `RecordedManifest.mediaType`.
   */
  readonly mediaType: string | undefined
  readonly contentClass: ContentClass
  /** 0 for a file that was adopted: nobody has seen that its bytes are those of its digest. */
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
  /** When its bytes were last hashed; 0 where nobody has, or they were found to be others. */
  readonly verifiedAtMs: number
  /** When it was last found that its bytes are lost. Until they come anew, or are found right. */
  readonly brokenAtMs: number | undefined
}

/** Undefined also where only a file was found: its length says nothing of how long it is to be. */
export function verified(content: RecordedContent | undefined): RecordedContent | undefined {
  return content !== undefined && content.createdAtMs > 0 ? content : undefined
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

export interface ListedMember {
  readonly digest: Digest
  readonly isManifest: boolean
  readonly contentClass: ContentClass
}

export interface CatalogTotals {
  readonly repositories: number
  readonly tags: number
  readonly manifests: number
  readonly blobs: number
  readonly contentBytes: number
  /** What its files take: of 4 KiB each. */
  readonly contentBlocks: number
  /** Of these, what is kept. */
  readonly keptBlocks: number
  /** Of files that are about to be removed, and count in no other. */
  readonly leavingBlocks: number
}

export interface RecordManifest {
  readonly repository: Repository
  readonly manifest: RecordedManifest
  /**
   * Also points this tag at the manifest, checked now; the rest is as in `recordTag`, and so a
   * local tag is left alone.
   */
  readonly tag?: Tag
  readonly previous?: PreviousDigest | undefined
  readonly atMs: number
  /**
   * Its registry shares with no other (sharing.ts): of what it lists it needs what this registry
   * has delivered. Default it shares.
   */
  readonly apart?: boolean
}

export interface RecordBlob {
  readonly repository: Repository
  readonly digest: Digest
  readonly sizeBytes: number
  /** A blob is held by the manifests that list it. */
  readonly hold: Exclude<SaidHold, Hold>
  readonly atMs: number
  /**
   * A client is about to be told that it is kept in this repository: it is pending until
   * the manifest of its push comes. Default it is not.
   */
  readonly acknowledgedAtMs?: number
  /** The bytes that are here were hashed now. Default false. */
  readonly isVerified?: boolean
}

export interface ContentReads {
  /**
   * The repository's manifest with this digest, if it was recorded or pushed there and its content
   * is recorded; with the media type that it was pushed as there while that holds it, else the
   * last that it was given there; whatever it was given elsewhere (R251).
   */
  findManifest(repository: Repository, digest: Digest): Promise<RecordedManifest | undefined>
  /**
   * Was anything recorded that names it, by whoever, and is not forgotten; whether its bytes are
   * here or not?
   * Until the facts beside the content agree with the catalog, one of those may name what it does
   * not.
   */
  isRecorded(digest: Digest): Promise<boolean>
  /** The content's own row, whatever the repository; undefined when only named by a parent. */
  findContent(digest: Digest): Promise<RecordedContent | undefined>
  /**
   * How `digest` belongs to this repository (R96, R179); undefined when it does not. MUST say
   * nothing of what it is in another one.
   */
  findMember(repository: Repository, digest: Digest): Promise<Member | undefined>
  /** Does a member of the repository, here or not, list it other than as its subject? */
  isListed(repository: Repository, digest: Digest): Promise<boolean>
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
   * Repositories that hold a manifest or a tag, or had one pushed since this catalog was begun, in
   * ASCII order of their keys.
   */
  listRepositories(page: PageRequest): Promise<readonly RepositoryKey[]>
  /** Manifests of one repository whose subject is `digest`, by digest; at most 10,000. */
  listReferrers(repository: Repository, digest: Digest): Promise<readonly Digest[]>
  /**
   * Manifests that `findManifest` finds there and that list `digest`, other than as their subject;
   * by digest.
   */
  listListers(
    repository: Repository,
    digest: Digest,
    page: { after?: Digest; limit: number },
  ): Promise<readonly Digest[]>
  /**
   * Present content that belongs to this repository, in no order; `isManifest`: as `findManifest`
   * finds it. `after`: the last one of the page before, which MUST still be there.
   */
  listMembers(
    repository: Repository,
    page: { after?: Digest; limit: number },
  ): Promise<readonly ListedMember[]>
  /** Every digest with a content row, by key, for reconciling with the store. */
  listContent(page: { after?: Digest; limit: number }): Promise<readonly RecordedContent[]>
  totals(): Promise<CatalogTotals>
}

export interface ContentWrites {
  /**
   * A manifest as an upstream gave it: content that nothing holds, its edges, its membership and
   * that of everything it lists, in one transaction. Idempotent. Membership goes down: what such a
   * manifest lists is a member too, and what that lists in turn, whichever an upstream gave first.
   * Not so a `subject`: whoever may store a referrer MUST NOT thereby gain what it refers to; nor
   * what is not `distributable` (R250). What was taken out of a repository below a manifest comes
   * back only with a manifest that lists it and that no upstream had given or listed there before:
   * recording one again adds nothing.
   */
  recordManifest(record: RecordManifest): Promise<void>
  /**
   * Content and membership of a blob whose bytes came under this repository, whoever brought them;
   * never of what it lists should it be a manifest as well. Idempotent;
   * what is kept already stays that.
   */
  recordBlob(record: RecordBlob): Promise<void>
  /**
   * An upstream said that `digest` is in this repository (its HEAD or GET in this namespace
   * succeeded). Nothing below it becomes a member.
   */
  recordMember(repository: Repository, digest: Digest, atMs: number): Promise<void>
  /**
   * The bytes are gone from disk: the row goes, edges and memberships stay. No effect on `kept`
   * content that some repository holds, nor on a manifest that needs what is here: that something
   * is missing takes nothing else along.
   */
  forgetContent(digest: Digest): Promise<void>
}
