// Files of which no row tells, because a write failed between the two: nobody would count them, so
// whoever failed takes them away again. For those alone who have the turn of the digest.
import type { Digest } from '../../oci/digest.ts'
import { StoreError } from '../ports/store-error.ts'

export class UnrecordedFiles {
  readonly #remove: (digest: Digest) => Promise<void>
  readonly #left: () => void

  /** `remove`: the file, unless a row tells of it. `left` is told that it may stay, uncounted. */
  constructor(remove: (digest: Digest) => Promise<void>, left: () => void) {
    this.#remove = remove
    this.#left = left
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
  async remove(digest: Digest): Promise<void> {
    try {
      await this.#remove(digest)
    } catch (error) {
      this.#left()
      throw error
    }
  }

  /** Never rejects: what failed before says more than that its file could not be removed. */
  async #failed(digest: Digest, mustStay: boolean): Promise<void> {
    if (mustStay) this.#left()
    else await this.remove(digest).catch(() => {})
  }
}
