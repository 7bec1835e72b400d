// What pushes that are under way have made durable, and are to say that it is kept: whatever comes
// anew of it until then is written as durably.
import type { Digest } from '../../oci/digest.ts'
import type { ContentClass } from '../ports/blob-store-content.ts'

export class DurableForPushes {
  readonly #pushes = new Set<ReadonlySet<Digest>>()

  /** `work` is one push, and adds to what it is given. */
  async during<T>(work: (durable: Set<Digest>) => Promise<T>): Promise<T> {
    const durable = new Set<Digest>()
    this.#pushes.add(durable)
    try {
      return await work(durable)
    } finally {
      this.#pushes.delete(durable)
    }
  }

  /** As what the file is to be written of content that counts as `contentClass`. */
  classFor(digest: Digest, contentClass: ContentClass): ContentClass {
    const isNeeded = this.#pushes.values().some(durable => durable.has(digest))
    return isNeeded ? 'kept' : contentClass
  }
}
