// May this much more be written? Asked before a fill or an upload writes its first byte, so that a full disk is a decision and not a
// surprise in the middle of a client's download or push.
import { type BlobStore, type Space, StoreError } from './ports/blob-store.ts'

/** Left free for the catalog, the log and whatever must still be written when the cache may not grow. */
const RESERVE_BYTES = 64 * 1024 * 1024
/** The reserve never takes more than this share of a small disk. */
const RESERVE_SHARE = 0.1
/** Of the limit and of the disk: left to what clients ask for and push, by what nobody has asked for yet. */
const SPARE_SHARE = 0.1

function reserveOf({ totalBytes }: Space): number {
  return Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE)
}

/** Most that content can come to where `usedBytes` of it are here: what is configured, or what the disk still gives, if that is less. */
export function reachableBytes(maxBytes: number, usedBytes: number, space: Space): number {
  return Math.min(maxBytes, usedBytes + Math.max(0, space.freeBytes - reserveOf(space)))
}

export interface SpaceLimit {
  /** Most that cached content may take together. Infinity: only the disk limits. */
  readonly maxBytes: number
}

/** What one fill or the uploads need, now: what it has written is missing from the free space by itself. */
export interface SpaceClaim {
  /** Not on disk yet. */
  missingBytes(): number
  /** All of the blob, which nobody else counts until it is recorded. */
  wholeBytes(): number
}

export class SpaceLedger {
  readonly #store: BlobStore
  readonly #limit: SpaceLimit
  readonly #usedBytes: () => Promise<number>
  readonly #claims = new Set<SpaceClaim>()

  /** `usedBytes` tells how much content is recorded now. */
  constructor(store: BlobStore, limit: SpaceLimit, usedBytes: () => Promise<number>) {
    this.#store = store
    this.#limit = limit
    this.#usedBytes = usedBytes
  }

  /**
   * Promises room to the caller, who gives it back once the blob is recorded or not wanted any more. `seen`: what `look` told a moment ago.
   * @throws StoreError full
   */
  async promise(claim: SpaceClaim, seen?: Space): Promise<{ giveBack(): void }> {
    // Promised before asking, so that two fills do not both see the last free megabyte.
    this.#claims.add(claim)
    const giveBack = () => void this.#claims.delete(claim)
    try {
      await this.check(seen)
    } catch (error) {
      giveBack()
      throw error
    }
    return { giveBack }
  }

  /** Counts a claim from now on, for good, without asking whether there is room for it. */
  count(claim: SpaceClaim): void {
    this.#claims.add(claim)
  }

  /** The disk as it is now, for a promise that is wanted a moment later. @throws StoreError io */
  look(): Promise<Space> {
    return this.#store.space()
  }

  /** Is there room for all that was promised? What is left of downloads that failed makes room first. @throws StoreError full */
  async check(seen?: Space): Promise<void> {
    try {
      await this.#mustFit(seen)
    } catch (error) {
      const isFull = error instanceof StoreError && error.failure === 'full'
      if (!isFull || this.#store.partsBytes === 0) throw error
      await this.#store.removeParts(0)
      await this.#mustFit(undefined)
    }
  }

  async #mustFit(seen: Space | undefined): Promise<void> {
    const space = seen ?? (await this.#store.space())
    if (this.#sum('missingBytes') + reserveOf(space) > space.freeBytes) {
      throw new StoreError('full', 'the disk has no room for this blob', {
        hint: 'free space on the file system of storage.rootdirectory; until then blobs are passed on without being cached, and pushes are refused',
      })
    }
    if (this.#limit.maxBytes === Number.POSITIVE_INFINITY) return
    const countedBytes = this.#sum('wholeBytes') + this.#store.partsBytes
    if (countedBytes + (await this.#usedBytes()) > this.#limit.maxBytes) {
      throw new StoreError('full', 'storage.maxsize is used up', {
        hint: 'raise storage.maxsize; until then blobs are passed on without being cached, and pushes are refused',
      })
    }
  }

  /** What `check` would throw now, as a sentence; undefined when there is room. @throws StoreError io */
  async fullBecause(): Promise<string | undefined> {
    try {
      await this.check()
      return undefined
    } catch (error) {
      if (!(error instanceof StoreError) || error.failure !== 'full') throw error
      return [error.message, error.hint].filter(text => text !== undefined).join(': ')
    }
  }

  /** How much could still be promised to what nobody has asked for; nothing when this is not above 0. @throws StoreError */
  async spareBytes(): Promise<number> {
    const space = await this.#store.space()
    const onDisk =
      space.freeBytes -
      this.#sum('missingBytes') -
      Math.max(reserveOf(space), space.totalBytes * SPARE_SHARE)
    const { maxBytes } = this.#limit
    if (maxBytes === Number.POSITIVE_INFINITY) return onDisk
    const allowed =
      maxBytes * (1 - SPARE_SHARE) - this.#sum('wholeBytes') - (await this.#usedBytes())
    return Math.min(onDisk, allowed)
  }

  #sum(bytes: keyof SpaceClaim): number {
    let sum = 0
    for (const claim of this.#claims) sum += claim[bytes]()
    return sum
  }
}
