// The catalog's port to room: what is needed and what is not, what was used, and what leaves
// (docs/storage-format.md, "Leaving"). Content is *needed* by a manifest that is present and lists
// it, other than as a subject, and by each repository that was given it as a manifest. A manifest
// that came `apart` alone needs what its registries have delivered. What is here and not needed is
// *loose*.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, RepositoryKey } from '../../oci/reference.ts'
import type { ContentClass } from './blob-store-content.ts'

/**
 * Why content leaves.
 * - `evicted`: it was the coldest, and there was no room
 * - `collected`: nothing needs it any more
 * - `purged`: an operator said so
 * - `deleted`: a client said so
 */
export const LEAVE_REASONS = ['evicted', 'collected', 'purged', 'deleted'] as const
export type LeaveReason = (typeof LEAVE_REASONS)[number]

/** Of leases. */
export interface PutBack {
  readonly nowMs: number
  /** No lease lasts longer from now on. */
  readonly longestMs: number
}

export interface LooseContent {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly contentClass: ContentClass
  readonly lastUsedAtMs: number
  /** Undefined for what never was needed, and until `stampLoose`. */
  readonly looseAtMs: number | undefined
}

/** The intent to remove a file: its row is gone, and nothing else may say that it is not there. */
export interface LeavingContent {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly reason: LeaveReason
  /** Wall clock, as whoever let it go said. */
  readonly atMs: number
}

export interface LetGo {
  readonly digests: readonly Digest[]
  readonly reason: LeaveReason
  readonly atMs: number
  /** What stays, though nothing needs it. Default nothing. */
  readonly spared?: ReadonlySet<Digest> | undefined
}

/**
 * Content that leaves. `listedBy`: one that needed it, and leaves or needs less; undefined for what
 * leaves by itself.
 */
export interface Leaves {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly listedBy: Digest | undefined
}

export interface Lease {
  readonly repository: Repository
  readonly digests: readonly Digest[]
  readonly untilMs: number
}

/** For who looks, and has nothing written for it. */
export interface AsOf {
  /** Leases that were over before do not count. Default they do, until `expireLeases`. */
  readonly leasesOverMs?: number | undefined
}

/** A file of the store that has no row. */
export interface FoundFile {
  readonly digest: Digest
  readonly sizeBytes: number
}

export interface Tidied {
  /** How far `tidy` has come; 0 when it begins anew. */
  readonly upTo: number
  /** Grows whenever it forgets something. */
  readonly forgotten: number
}

export interface Recounted {
  /** How far `recount` has come; 0 when it begins anew. */
  readonly upTo: number
  /** Grows with each content that was counted wrongly. */
  readonly mended: number
}

export interface Tidy {
  /** What was used or asked for since then stays. */
  readonly beforeMs: number
  /** To look at. */
  readonly rows: number
}

export interface SpaceReads {
  /**
   * Loose content that is cached, clear, and that nobody was promised, the longest unused first; of
   * equals in no order. `after`: the last one of the page before.
   */
  listLoose(
    page: AsOf & {
      readonly limit: number
      readonly after?: Pick<LooseContent, 'digest' | 'lastUsedAtMs'>
    },
  ): Promise<readonly LooseContent[]>
  /**
   * What has been loose since before `beforeMs`, of either class, that is clear and nobody was
   * promised, the longest first; of equals in no order.
   */
  listLooseSince(
    page: AsOf & {
      readonly beforeMs: number
      readonly limit: number
      readonly after?: { readonly digest: Digest; readonly looseAtMs: number }
    },
  ): Promise<readonly LooseContent[]>
  /**
   * When the first became loose of what did at `fromMs` or later and nobody was promised; undefined
   * when none did.
   */
  firstLooseAt(fromMs: number): Promise<number | undefined>
  /** By digest. */
  listLeaving(page: { after?: Digest; limit: number }): Promise<readonly LeavingContent[]>
  /** Undefined when nothing says that its file may go. */
  findLeaving(digest: Digest): Promise<LeavingContent | undefined>
  /** Those of them of which something says so, at one moment. */
  whichLeave(digests: readonly Digest[]): Promise<ReadonlySet<Digest>>
  /**
   * Repositories that know content as theirs that was let go at `atMs` and is still leaving;
   * `limit` of them at most, in no order.
   */
  listRepositoriesLeft(atMs: number, limit: number): Promise<readonly RepositoryKey[]>
  /**
   * Is it here, and may not leave since something that is lost may need it, or all of its layers
   * that are here?
   */
  isUnclear(digest: Digest): Promise<boolean>
  /** Until when this was leased to whoever may push to the repository; undefined when it is not. */
  leasedUntil(repository: Repository, digest: Digest): Promise<number | undefined>
  tidied(): Promise<Tidied>
  recounted(): Promise<Recounted>
}

/**
 * Content leaves in one order: a write here makes its row absent and says so in `leaving`; what was
 * answered of it is forgotten; then, in the turn of its digest, if `whichLeave` still names it,
 * the file is removed; then `finishLeaving`. Whoever removes files MUST NOT begin before the write
 * that let them go has resolved. Whatever records the digest again takes it out of `leaving`, in
 * the same transaction, by whichever version.
 */
export interface SpaceWrites {
  /**
   * Lets loose content go, and with it what becomes loose by that. Passed over is what is needed by
   * then, is promised or leased to somebody, is unclear, or is kept and to be `evicted`. MUST
   * resolve to what has left by each of the digests, in their order, itself first: nothing by one
   * that is passed over, is not here, or left with one before it.
   */
  letGo(record: LetGo): Promise<readonly (readonly Leaves[])[]>
  /**
   * Puts the time in where content has become loose since this was called last, or the grace of
   * what follows a deleted manifest began anew.
   */
  stampLoose(atMs: number): Promise<void>
  /**
   * The files are gone: so are the intents, what the content listed, and memberships that nothing
   * else speaks for. No effect on what is not in `leaving`.
   */
  finishLeaving(digests: readonly Digest[]): Promise<void>
  /**
   * Whoever may push to the repository is about to be told that it has these: until then they do
   * not leave. A manifest that is pushed there and lists one ends its lease, and so does its end as
   * a member. A lease that lasts longer stays. No effect for what is no member.
   */
  lease(record: Lease): Promise<void>
  /** Ends the leases that were over before. */
  expireLeases(beforeMs: number): Promise<void>
  /**
   * What is loose or follows by a later time than now, or was last used at one, had it from a clock
   * that was ahead: it MUST have this one now. A lease or a pending blob that would last too long,
   * written then or when the grace was longer, MUST last as long from now on as one that begins
   * now.
   */
  putBack(times: PutBack): Promise<void>
  /**
   * Files without rows count as cached content that belongs to nobody. `isUnclear`: something that
   * is lost may need them, so that they MUST NOT leave; default false. No effect on what is here.
   */
  adopt(files: readonly FoundFile[], atMs: number, isUnclear?: boolean): Promise<void>
  /**
   * Every file has a row, or facts say no more than the catalog (`isAllFound`), so that nothing is
   * unclear any more. MUST resolve to whether it is to be called again for the rest of it.
   * `butFor`: files without a row, which are unclear once they are here; default none.
   */
  noteStock(isAllFound: boolean, butFor?: readonly Digest[]): Promise<boolean>
  /**
   * Forgets what is not here and was not asked for lately: tags that point to it, memberships that
   * nothing there lists, what deletes took along; lists of upstreams; and repositories that have
   * nothing. What clients pushed MUST stay known, and what deletes said of content that is here. A
   * few rows at a time, from where the last call ended; then the catalog gives up room for others.
   */
  tidy(what: Tidy): Promise<void>
  /**
   * Counts anew how often content is needed, and mends what is said of it: what is needed is loose
   * no more, and what is not may leave. So many at a time, from where the last call ended. MUST
   * change nothing in a catalog that holds together. What is needed very often may be passed over.
   */
  recount(rows: number): Promise<void>
}
