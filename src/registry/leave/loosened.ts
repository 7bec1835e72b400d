// What leaves along with something: what it listed and nothing else needs, and so on. Worked out
// without doing it, one after the other, as the catalog lets content go in one transaction. For
// whoever is told what goes and how many bytes are free by it.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { Pieces } from '../pieces.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { AsOf } from '../ports/catalog-space.ts'
import type { Catalog } from '../ports/catalog.ts'

/** `listedBy`: the last that needed it, and leaves or needs less; undefined for the first. */
export interface Leaves {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly listedBy: Digest | undefined
}

/** Some tens of megabytes. What it has counted beyond is counted anew, and shared bytes as kept. */
const REMEMBERED_MAX = 200_000

/** That the disk has back. */
export function freedBytes(leaves: readonly Leaves[]): number {
  return leaves.reduce((sum, { sizeBytes }) => sum + onDiskBytes(sizeBytes), 0)
}

export class Loosened {
  readonly #catalog: Pick<Catalog, 'findNeed' | 'listUnneededWithout'>
  readonly #asOf: AsOf
  /** How often content is still needed that was needed by something that has left. */
  readonly #needed = new Map<Digest, number>()
  readonly #left = new Set<Digest>()
  /** Of manifests that stay: which repositories they have left. */
  readonly #leftRepositories = new Map<Digest, Repository[]>()
  /** Of those: what they have come to need no more. */
  readonly #unneeded = new Map<Digest, ReadonlySet<Digest>>()
  readonly #pieces = new Pieces()

  constructor(catalog: Pick<Catalog, 'findNeed' | 'listUnneededWithout'>, asOf: AsOf = {}) {
    this.#catalog = catalog
    this.#asOf = asOf
  }

  /**
   * All that leaves with content that nothing needs, and did not with something earlier; the
   * content first. Nothing does where any of it is held. @throws StoreError
   */
  leave(
    root: Digest,
    isHeld: (digest: Digest) => boolean = () => false,
  ): Promise<readonly Leaves[]> {
    return this.#loosen(root, { isHeld })
  }

  /**
   * The same of a manifest that leaves one repository which was given it; where it stays for
   * others, what it does not need for these. To be asked before it goes. @throws StoreError
   */
  leaveRepository({ repository, digest }: Image): Promise<readonly Leaves[]> {
    return this.#loosen(digest, { repository, isHeld: () => false })
  }

  /** `repository`: of those that the first is needed by, the one that it leaves. */
  async #loosen(
    first: Digest,
    { repository, isHeld }: { repository?: Repository; isHeld: (digest: Digest) => boolean },
  ): Promise<readonly Leaves[]> {
    const lost = repository === undefined ? 0 : 1
    const needed = new Map<Digest, number>()
    const leaves = new Map<Digest, Leaves>()
    const looked: { digest: Digest; listedBy?: Digest }[] = [{ digest: first }]
    for (const [at, { digest, listedBy }] of looked.entries()) {
      const hasLeft = this.#left.has(digest) || leaves.has(digest)
      const need = hasLeft ? undefined : await this.#catalog.findNeed(digest, this.#asOf)
      await this.#pieces.done(1 + (need?.lists.length ?? 0))
      if (need === undefined) continue
      const before = needed.get(digest) ?? this.#needed.get(digest) ?? need.times
      const still = before - (at === 0 ? lost : 1)
      needed.set(digest, still)
      if (still > 0 || need.isPromised) {
        if (at > 0 || repository === undefined) continue
        for (const child of await this.#neededLess({ repository, digest }))
          looked.push({ digest: child, listedBy: digest })
        continue
      }
      if (isHeld(digest)) return []
      leaves.set(digest, { digest, sizeBytes: need.sizeBytes, listedBy })
      const unneeded = this.#unneeded.get(digest)
      for (const child of need.lists)
        if (unneeded?.has(child) !== true) looked.push({ digest: child, listedBy: digest })
    }
    this.#remember(needed, leaves.keys())
    return [...leaves.values()]
  }

  /** What a manifest that stays needs no more without this repository. */
  async #neededLess(image: Image): Promise<readonly Digest[]> {
    const left = this.#leftRepositories.get(image.digest) ?? []
    const unneeded = await this.#catalog.listUnneededWithout(image, left)
    await this.#pieces.done(unneeded.length)
    this.#leftRepositories.set(image.digest, left)
    left.push(image.repository)
    if (unneeded.length > 0) this.#unneeded.set(image.digest, new Set(unneeded))
    return unneeded
  }

  #remember(needed: ReadonlyMap<Digest, number>, left: Iterable<Digest>): void {
    if (this.#needed.size >= REMEMBERED_MAX) {
      this.#needed.clear()
      this.#left.clear()
      this.#leftRepositories.clear()
      this.#unneeded.clear()
    }
    for (const [digest, times] of needed) this.#needed.set(digest, times)
    for (const digest of left) this.#left.add(digest)
  }
}
