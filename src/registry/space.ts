// May this much more be written? Asked before a fill writes its first byte, so that a full disk is a decision and not a
// surprise in the middle of a client's download.
import { type BlobStore, StoreError } from './ports/blob-store.ts'

/** Left free for the catalog, the log and whatever must still be written when the cache may not grow. */
const RESERVE_BYTES = 64 * 1024 * 1024
/** The reserve never takes more than this share of a small disk. */
const RESERVE_SHARE = 0.1

export interface SpaceLimit {
  /** Most that cached content may take together. Infinity: only the disk limits. */
  readonly maxBytes: number
}

export class SpaceLedger {
  readonly #store: BlobStore
  readonly #limit: SpaceLimit
  readonly #usedBytes: () => Promise<number>
  #promisedBytes = 0

  /** `usedBytes` tells how much content is recorded now. */
  constructor(store: BlobStore, limit: SpaceLimit, usedBytes: () => Promise<number>) {
    this.#store = store
    this.#limit = limit
    this.#usedBytes = usedBytes
  }

  /**
   * Promises `bytes` to the caller, who gives them back once they are written or not wanted any more.
   * @throws StoreError full
   */
  async promise(bytes: number): Promise<{ giveBack(): void }> {
    // Promised before asking, so that two fills do not both see the last free megabyte.
    this.#promisedBytes += bytes
    const giveBack = () => {
      this.#promisedBytes -= bytes
      bytes = 0
    }
    try {
      await this.#check()
    } catch (error) {
      giveBack()
      throw error
    }
    return { giveBack }
  }

  async #check(): Promise<void> {
    const { freeBytes, totalBytes } = await this.#store.space()
    const reserveBytes = Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE)
    if (this.#promisedBytes + reserveBytes > freeBytes) {
      throw new StoreError('full', 'the disk has no room for this blob', {
        hint: 'free space on the file system of storage.rootdirectory; until then blobs are passed on without being cached',
      })
    }
    if (this.#limit.maxBytes === Number.POSITIVE_INFINITY) return
    if (this.#promisedBytes + (await this.#usedBytes()) > this.#limit.maxBytes) {
      throw new StoreError('full', 'storage.maxsize is used up', {
        hint: 'raise storage.maxsize; until then blobs are passed on without being cached',
      })
    }
  }
}
