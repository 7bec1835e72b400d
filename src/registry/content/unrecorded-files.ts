// Files of which no row tells, because a write failed between the two: nobody would count them, so
// whoever failed takes them away again. For those alone who have the turn of the digest.
import type { Digest } from '../../oci/digest.ts'
import type { Catalog } from '../ports/catalog.ts'
import { StoreError } from '../ports/store-error.ts'

export interface UnrecordedFilesDeps {
  /** The file. @throws StoreError */
  readonly remove: (digest: Digest) => Promise<void>
  readonly catalog: Pick<Catalog, 'findContent'>
  /** Told that a file may stay, uncounted. */
  readonly left: () => void
}

export class UnrecordedFiles {
  readonly #deps: UnrecordedFilesDeps

  constructor(deps: UnrecordedFilesDeps) {
    this.#deps = deps
  }

  /**
   * `write` puts a file in its place, and may fail when it is there. `mustStay`: there was one
   * before, which stays in any case.
   * @throws what `write` does
   */
  async noneOf<Stored>(
    digest: Digest,
    write: () => Promise<Stored>,
    { mustStay }: { readonly mustStay: boolean },
  ): Promise<Stored> {
    try {
      return await write()
    } catch (error) {
      if (error instanceof StoreError && error.isNamed) await this.#failed(digest, mustStay)
      throw error
    }
  }

  /** `record` writes the row of a file that has just come. @throws what `record` does */
  async unless(
    digest: Digest,
    record: () => Promise<void>,
    { mustStay }: { readonly mustStay: boolean },
  ): Promise<void> {
    try {
      await record()
    } catch (error) {
      await this.#failed(digest, mustStay)
      throw error
    }
  }

  /** The file, if it is one. @throws StoreError */
  remove(digest: Digest): Promise<void> {
    return this.#unlessTold(digest, () => this.#deps.remove(digest))
  }

  /** Never rejects: what failed before says more than that its file could not be removed. */
  async #failed(digest: Digest, mustStay: boolean): Promise<void> {
    const { left } = this.#deps
    await (mustStay ? this.#unlessTold(digest, left) : this.remove(digest)).catch(() => {})
  }

  /** A row may tell of it, also where a write failed. @throws StoreError; what `work` throws */
  async #unlessTold(digest: Digest, work: () => Promise<void> | void): Promise<void> {
    const { catalog, left } = this.#deps
    try {
      if ((await catalog.findContent(digest)) === undefined) await work()
    } catch (error) {
      left()
      throw error
    }
  }
}
