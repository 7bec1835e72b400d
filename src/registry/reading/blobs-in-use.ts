// Which blobs somebody reads, in whichever thread, and which are being fetched. The files of
// another thread's readers are open here for it (threads/lent-blobs.ts). What is in use does not
// leave: it is wanted, and its file would take its room until it is closed.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost } from '../../oci/reference.ts'

export class BlobsInUse {
  readonly #read = new Map<Digest, number>()
  readonly #filled = new Map<Digest, number>()
  readonly #filledFrom = new Map<RegistryHost, Map<Digest, number>>()

  /** One more reads it, until what this returns is called, once. */
  read(digest: Digest): () => void {
    return count(this.#read, digest)
  }

  /**
   * It is being fetched, or about to be, until what this returns is called, once. `apart`: by a
   * registry that does not share. What others have here of it is not in use by that: who answers to
   * a made-up name can be asked for all of it, and let it wait.
   */
  fill(digest: Digest, { from, apart = false }: { from: RegistryHost; apart?: boolean }) {
    const filled = apart ? () => {} : count(this.#filled, digest)
    const ofRegistry = this.#filledFrom.get(from) ?? new Map<Digest, number>()
    this.#filledFrom.set(from, ofRegistry)
    const filledFrom = count(ofRegistry, digest)
    return () => {
      filled()
      filledFrom()
      if (ofRegistry.size === 0) this.#filledFrom.delete(from)
    }
  }

  has(digest: Digest): boolean {
    return this.#read.has(digest) || this.#filled.has(digest)
  }

  /** What is being fetched from registries that are meant. */
  filling(isMeant: (from: RegistryHost) => boolean): Digest[] {
    return [...this.#filledFrom].flatMap(([from, digests]) =>
      isMeant(from) ? [...digests.keys()] : [],
    )
  }
}

function count(users: Map<Digest, number>, digest: Digest): () => void {
  users.set(digest, (users.get(digest) ?? 0) + 1)
  return () => {
    const left = (users.get(digest) ?? 0) - 1
    if (left > 0) users.set(digest, left)
    else users.delete(digest)
  }
}
