// The catalog's port to images as what is used, and as what leaves when there is no room: a
// manifest that is no index, in one repository, with what it lists (docs/adr/0030-eviction.md). An
// index goes with the last of its manifests there, or as an image when none of them is here that
// is not kept.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import type { LeaveReason, Leaves } from './catalog-space.ts'
import type { PageRequest } from './catalog-tags.ts'

export interface Image {
  readonly repository: Repository
  readonly digest: Digest
}

/** Where it stands in the order in which images leave. */
export interface ColdPlace extends Image {
  readonly warmthMs: number
  /** The index there that keeps it so warm; undefined: its own uses do. */
  readonly by: Digest | undefined
}

export interface ColdImage extends ColdPlace {
  readonly usedAtMs: number
  readonly pulls: number
  readonly isIndex: boolean
}

export interface ColdPage {
  readonly images: readonly ColdImage[]
  /** What to go on behind; undefined: that was all. */
  readonly next: ColdPlace | undefined
}

export interface Eviction extends Image {
  readonly reason: Extract<LeaveReason, 'evicted' | 'purged'>
  readonly atMs: number
  /**
   * What of it stays, and stays a member of the repository, though nothing needs it any more.
   * Default nothing.
   */
  readonly spared?: ReadonlySet<Digest> | undefined
}

/** What an eviction has done. */
export interface Evicted {
  /** False: it was held, or no manifest there, and nothing was done. */
  readonly hasLeft: boolean
  /** With its index, where it was the last of that; nothing where all of it is needed by others. */
  readonly leaves: readonly Leaves[]
}

/** Of some images, one of them. */
export interface Freed {
  /** What leaves with it: what several need, with the last of them. */
  readonly digests: readonly Digest[]
  /** In whole blocks of the file system. */
  readonly bytes: number
  /**
   * By so much less repositories come to, whatever others have of the same: its own, if any, first,
   * and those that know as theirs what leaves with it, though no image of them needs it, by key.
   * MUST be by what `RepositoryBytes` is less after `evictImage`; of content that more than 1,000
   * repositories have, in 1,000 of them.
   */
  readonly repositories: readonly RepositoryBytes[]
}

/** What the disk would have back. */
export interface Footprint {
  readonly digests: readonly Digest[]
  /** In whole blocks of the file system. */
  readonly freedBytes: number
  /** The same by each image, in their order. */
  readonly byImage: readonly Freed[]
}

export interface RepositoryBytes {
  readonly repository: RepositoryKey
  /** Of all that is its member and here, in whole blocks, whatever others have of the same. */
  readonly bytes: number
}

/**
 * Uses of itself, and of indexes there that list it among their first 256 entries: those are no
 * pulls. Of indexes that are held, only when they were used.
 */
export interface ImageUsage {
  readonly usedAtMs: number
  readonly pulls: number
  readonly warmthMs: number
}

export interface TagUsage {
  readonly tag: Tag
  readonly digest: Digest
  /** Undefined while nobody has pushed it here. */
  readonly pushedAtMs: number | undefined
  /** Undefined while nobody has pulled it. */
  readonly pulledAtMs: number | undefined
  readonly pulls: number
}

/** Of images that were evicted and recorded again while they were remembered. */
export interface ReturnedImages {
  readonly images: number
  /** What had left with them, in whole blocks. */
  readonly bytes: number
}

export interface ImageReads {
  /**
   * Images that may be evicted, the coldest first, of equals in no order; fewer than `limit`, or
   * none, where many are looked at that may not. `after`: `next` of the page before, or one of its
   * images.
   */
  listColdest(page: {
    readonly limit: number
    readonly after?: ColdPlace | undefined
  }): Promise<ColdPage>
  /**
   * What would leave if these were evicted, one after the other; a digest, if what nothing needs is
   * let go. MUST be what `evictImage` does of what is cached. `after`: once others have been
   * before, and nothing was asked yet after what came after them. `spared`, `reason`: as of each
   * `Eviction`; default `evicted`.
   */
  footprint(
    images: readonly (Image | Digest)[],
    how?: {
      readonly after?: Footprint | undefined
      readonly spared?: Eviction['spared']
      readonly reason?: Eviction['reason']
    },
  ): Promise<Footprint>
  /** Does the manifest list one of these, but for its subject? */
  listsAny(manifest: Digest, digests: readonly Digest[]): Promise<boolean>
  /** Those that have anything here, by key. */
  listRepositoryBytes(page: PageRequest): Promise<readonly RepositoryBytes[]>
  /** What more room would have saved, since this catalog was begun. */
  returnedImages(): Promise<ReturnedImages>
  /** Undefined for what is no manifest of the repository. */
  usageOf(repository: Repository, digest: Digest): Promise<ImageUsage | undefined>
  /** Undefined for a tag that is not there. */
  tagUsageOf(repository: Repository, tag: Tag): Promise<TagUsage | undefined>
  /**
   * Tags of its repository that lead to the image, themselves or by an index there that lists it,
   * in ASCII order: the first so many. Where very many list it, those of old indexes may be left
   * out.
   */
  listTagsOf(image: Image, limit: number): Promise<readonly Tag[]>
  /** In ASCII order of the tags. */
  listTagUsage(
    repository: Repository,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<readonly TagUsage[]>
}

export interface ImageWrites {
  /**
   * A cached image leaves its repository: its membership, the tags there that point to it,
   * pointers to it as `previous`, and memberships of what nothing else there lists; with it what is
   * loose by that leaves as by `letGo`. No effect on what is held or kept, what a local tag points
   * to, what was leased or promised there, and what is unclear: nothing would become free by it;
   * nor on an image of which layers are here and all of those are unclear, for its manifest alone.
   * `purged`: what is unclear, or kept for others alone, leaves its repository, and no bytes by
   * it. MUST resolve to what was done, whatever `footprint` said.
   */
  evictImage(eviction: Eviction): Promise<Evicted>
  /**
   * Of images that were evicted only those are remembered since which no more than this has left:
   * with as much room again they would still be here. At most 100,000 are.
   */
  trimGhosts(roomBytes: number): Promise<void>
}
