// What a scrub of this process has found to be lost, as long as it is: for whoever tells operators
// how it stands. What is broken for longer than this process runs, the next scrub finds again.
import { filterFew } from '../../async/few-at-once.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'

/** Of a disk that loses more, so many are counted. */
const BROKEN_MAX = 10_000
/** Each is a look at the disk. */
const LOOKED_AT_ONCE = 16

export interface BrokenDeps {
  readonly store: Pick<BlobStore, 'find'>
  readonly catalog: Pick<Catalog, 'findContent'>
}

export class Broken {
  readonly #deps: BrokenDeps
  readonly #digests = new Set<Digest>()

  constructor(deps: BrokenDeps) {
    this.#deps = deps
  }

  add(digest: Digest): void {
    if (this.#digests.size < BROKEN_MAX) this.#digests.add(digest)
  }

  /** How many still are; a look at the disk for each. @throws StoreError */
  async count(): Promise<number> {
    const { store, catalog } = this.#deps
    const over = await filterFew([...this.#digests], LOOKED_AT_ONCE, async digest => {
      if ((await store.find(digest)) !== undefined) return true
      // Deleted, or fetched anew when it is asked for.
      return (await catalog.findContent(digest)) === undefined
    })
    for (const digest of over) this.#digests.delete(digest)
    return this.#digests.size
  }
}
