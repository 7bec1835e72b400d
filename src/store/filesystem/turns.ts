// One at a time per digest: publishing a blob and moving a bad one away both rename under the same name, and the second
// must not move what the first has just put there.
import type { Digest } from '../../oci/digest.ts'

export class Turns {
  readonly #last = new Map<Digest, Promise<unknown>>()

  /** Runs `step` after every earlier step of this digest has ended, however it ended. */
  async take<T>(digest: Digest, step: () => Promise<T>): Promise<T> {
    const before = this.#last.get(digest) ?? Promise.resolve()
    const mine = before.then(step, step)
    this.#last.set(digest, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(digest) === mine) this.#last.delete(digest)
    }
  }
}
