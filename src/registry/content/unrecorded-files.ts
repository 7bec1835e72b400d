// Files of which no row tells, because a write failed between the two: nobody would count them, so
// whoever failed takes them away again. For those alone who have the turn of the digest.
import type { Digest } from '../../oci/digest.ts'
import { StoreError } from '../ports/store-error.ts'

export class UnrecordedFiles {
  readonly #remove: (digest: Digest) => Promise<void>
  #areLeft = false

  /** `remove`: the file, unless a row tells of it. */
  constructor(remove: (digest: Digest) => Promise<void>) {
    this.#remove = remove
  }

  /** Some could not be taken away: the next start has to look for them. */
  get areLeft(): boolean {
    return this.#areLeft
  }

  /**
   * `write` puts a file in its place, and may fail when it is there. `mustStay`: even then.
   * @throws what `write` does
   */
  async noneOf<Stored>(
    digest: Digest,
    write: () => Promise<Stored>,
    { mustStay = false } = {},
  ): Promise<Stored> {
    try {
      return await write()
    } catch (error) {
      if (error instanceof StoreError && error.isNamed) {
        if (mustStay) this.#areLeft = true
        else await this.#takeBack(digest)
      }
      throw error
    }
  }

  /** `record` writes the row of a file that has just come. @throws what `record` does */
  async unless(digest: Digest, record: () => Promise<void>): Promise<void> {
    try {
      await record()
    } catch (error) {
      await this.#takeBack(digest)
      throw error
    }
  }

  /** The file, if it is one. @throws StoreError */
  async remove(digest: Digest): Promise<void> {
    try {
      await this.#remove(digest)
    } catch (error) {
      this.#areLeft = true
      throw error
    }
  }

  /** Never rejects: what failed before says more than that its file could not be removed. */
  async #takeBack(digest: Digest): Promise<void> {
    await this.remove(digest).catch(() => {})
  }
}
