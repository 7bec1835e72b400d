// The catalog's port to what a repository holds as a whole, and to what the disk would have back
// without it: for judging what may go.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Image } from './catalog-images.ts'
import type { AsOf } from './catalog-space.ts'

export interface HeldManifest {
  /** Where it stands among those of its repository: for `after`, and for nothing else. */
  readonly position: number
  readonly digest: Digest
  /** Of a pull or push, in whichever repository. */
  readonly lastUsedAtMs: number
}

/** What holds some content here. */
export interface Need {
  readonly sizeBytes: number
  /**
   * How often it is needed: by manifests here that list it, and by repositories that were given it
   * as a manifest.
   */
  readonly times: number
  /** Somebody who may push was told that it is here: it stays for now, needed or not. */
  readonly isPromised: boolean
  /** What it needs itself, as often as it does. */
  readonly lists: readonly Digest[]
}

export interface HoldingReads {
  /** What `findManifest` finds there, in the order of `position`. */
  listManifests(
    repository: Repository,
    page: { readonly after?: number; readonly limit: number },
  ): Promise<readonly HeldManifest[]>
  /** Undefined for what is not here. */
  findNeed(digest: Digest, asOf?: AsOf): Promise<Need | undefined>
  /**
   * What a manifest needs no more, as often as it did, once it leaves this repository too, after
   * those that it has `left` by then: where none stays that shares, what the registries apart that
   * keep it have not delivered. MUST say what `removeMember` would do, and change nothing.
   */
  listUnneededWithout(image: Image, left: readonly Repository[]): Promise<readonly Digest[]>
}
