// The catalog's port to what upstreams say of names: where a tag points, when that was checked, and
// lists that are kept as text. What clients push is catalog-pushes.ts.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { Order } from './order.ts'

export interface PageRequest {
  /** Exclusive; need not exist. */
  readonly after?: string
  readonly limit: number
}

export interface RecordedTag {
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
  /** Of the push that pointed it here; not there for what no push did, or an older version's. */
  readonly order?: Order
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
export interface RecordedList {
  readonly body: string
  readonly checkedAtMs: number
}

export interface TagReads {
  findTag(repository: Repository, tag: Tag): Promise<RecordedTag | undefined>
  /** In ASCII order. */
  listTags(repository: Repository, page: PageRequest): Promise<readonly RecordedTag[]>
  /**
   * Only those that are `local`, in ASCII order: what an upstream's list does not hold yet. Cheap
   * when there are none.
   */
  listLocalTags(repository: Repository, page: PageRequest): Promise<readonly RecordedTag[]>
  /** Those that lead to `digest`, in ASCII order. Cheap however many others there are. */
  listTagsTo(
    repository: Repository,
    digest: Digest,
    page: PageRequest,
  ): Promise<readonly RecordedTag[]>
  findList(repository: Repository, key: string): Promise<RecordedList | undefined>
}

export interface TagWrites {
  /**
   * `changedAtMs` moves only when the digest does. The manifest need not be here yet: a HEAD tells
   * where a tag points long before anybody asks for the document. So `previous` replaces what was
   * known when the tag moves by this, and is ignored when it does not. A tag that is `local` MUST
   * be left exactly as it is: what an upstream answered while a client pushed must not take the
   * push back.
   */
  recordTag(repository: Repository, tag: Tag, digest: Digest, check: TagCheck): Promise<void>
  /**
   * The upstream no longer has the tag. No effect if it is not here, or if it is `local`: the
   * upstream need not have it yet.
   */
  forgetTag(repository: Repository, tag: Tag): Promise<void>
  recordList(repository: Repository, key: string, list: RecordedList): Promise<void>
  /** No effect if it is not here. */
  forgetList(repository: Repository, key: string): Promise<void>
}
