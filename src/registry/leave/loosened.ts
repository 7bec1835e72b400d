// What leaves along with something: what it listed and nothing else needs, and so on. Worked out
// without doing it, one after the other, as the catalog lets content go in one transaction. For
// whoever is told what goes and how many bytes are free by it.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { Pieces } from '../pacing/pieces.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { AsOf, Leaves } from '../ports/catalog-space.ts'
import type { Catalog } from '../ports/catalog.ts'

interface Loosening {
  /** Of those that the first is needed by, the one that it leaves. */
  readonly repository?: Repository
  readonly isHeld: (digest: Digest) => boolean
  readonly goes?: (() => Promise<boolean>) | undefined
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
   * others, what it does not need for these. To be asked before it goes: `goes` makes it, once that
   * is known, and nothing has left where it resolves to false. Default it does.
   * @throws StoreError, and what `goes` throws
   */
  leaveRepository(
    { repository, digest }: Image,
    goes?: () => Promise<boolean>,
  ): Promise<readonly Leaves[]> {
    return this.#loosen(digest, { repository, isHeld: () => false, goes })
  }

  async #loosen(
    first: Digest,
    { repository, isHeld, goes }: Loosening,
  ): Promise<readonly Leaves[]> {
    const lost = new Map([[first, repository === undefined ? 0 : 1]])
    const needed = new Map<Digest, number>()
    const leaves = new Map<Digest, Leaves>()
    let unneededHere: readonly Digest[] | undefined
    const looked: { digest: Digest; listedBy?: Digest }[] = [{ digest: first }]
    const look = (digest: Digest, listedBy: Digest) => {
      lost.set(digest, (lost.get(digest) ?? 0) + 1)
      looked.push({ digest, listedBy })
    }
    for (const [at, { digest, listedBy }] of looked.entries()) {
      const hasLeft = this.#left.has(digest) || leaves.has(digest)
      const need = hasLeft ? undefined : await this.#catalog.findNeed(digest, this.#asOf)
      await this.#pieces.done(1 + (need?.lists.length ?? 0))
      if (need === undefined) continue
      const before = this.#needed.get(digest) ?? need.times
      const still = before - (lost.get(digest) ?? 0)
      needed.set(digest, still)
      if (still > 0 || need.isPromised) {
        if (at > 0 || repository === undefined) continue
        unneededHere = await this.#neededLess({ repository, digest })
        for (const child of unneededHere) look(child, digest)
        continue
      }
      if (isHeld(digest)) return []
      leaves.set(digest, { digest, sizeBytes: need.sizeBytes, listedBy })
      const unneeded = this.#unneeded.get(digest)
      for (const child of need.lists) if (unneeded?.has(child) !== true) look(child, digest)
    }
    if ((await goes?.()) === false) return []
    this.#remember(needed, leaves.keys())
    if (repository !== undefined && unneededHere !== undefined)
      this.#rememberStays({ repository, digest: first }, unneededHere)
    return [...leaves.values()]
  }

  /** What a manifest that stays needs no more without this repository. */
  async #neededLess(image: Image): Promise<readonly Digest[]> {
    const left = this.#leftRepositories.get(image.digest) ?? []
    const unneeded = await this.#catalog.listUnneededWithout(image, left)
    await this.#pieces.done(unneeded.length)
    return unneeded
  }

  #rememberStays({ repository, digest }: Image, unneeded: readonly Digest[]): void {
    const left = this.#leftRepositories.get(digest) ?? []
    this.#leftRepositories.set(digest, [...left, repository])
    if (unneeded.length > 0) this.#unneeded.set(digest, new Set(unneeded))
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
