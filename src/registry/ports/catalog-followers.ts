// The catalog's port to what follows a deleted manifest: manifests of its repository that it
// listed, and those that were about it, by their subject or by a tag like `sha256-….sig`. That is
// written down as it is removed (`RemoveOptions.followedSinceMs`), and they go by themselves after
// a grace, unless something else reaches them (registry/follow/). What was pushed here does not
// follow what its upstream gives again, once somebody asks for it. A manifest that a client pushes
// follows nothing from then on, and nor does what it lists.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Image } from './catalog-images.ts'

export interface Follower extends Image {
  /** When the last of what it follows was deleted, or a tag was taken from it after that. */
  readonly sinceMs: number
}

export interface FollowerReads {
  /**
   * Those that have followed since before `beforeMs`, the longest first; of equals in no order.
   * `after`: the last one of the page before.
   */
  listFollowers(page: {
    readonly beforeMs: number
    readonly limit: number
    readonly after?: Follower
  }): Promise<readonly Follower[]>
  /** When the first began to follow of those that did at `fromMs` or later. */
  firstFollowsAt(fromMs: number): Promise<number | undefined>
  /**
   * Undefined for what follows nothing; 0 where a tag was taken from it since `stampLoose` was
   * called last.
   */
  followsSince(repository: Repository, digest: Digest): Promise<number | undefined>
  /**
   * When it was last removed with `deletedAtMs`, from whichever repository: the latest of these
   * times. Undefined when it never was.
   */
  deletedAt(digest: Digest): Promise<number | undefined>
}

export interface FollowerWrites {
  /** Something else reaches it: it is as any other from now on. */
  endFollowing(image: Image): Promise<void>
}
