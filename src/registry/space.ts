// May this much more be written? Asked before a fill or an upload writes its first byte, so that a full disk is a decision and not a
// surprise in the middle of a client's download or push.
import { type BlobStore, type Space, StoreError } from './ports/blob-store.ts'

/** Left free for the catalog, the log and whatever must still be written when the cache may not grow. */
const RESERVE_BYTES = 64 * 1024 * 1024
/** The reserve never takes more than this share of a small disk. */
const RESERVE_SHARE = 0.1
/** Of the limit and of the disk: left to what clients ask for and push, by what nobody has asked for yet. */
const SPARE_SHARE = 0.1
/** Of the room that the others leave: to what registries announce that do not share. Who answers to a made-up name can announce anything. */
const APART_SHARE = 0.5
const APART_USED_UP = {
  message: 'registries that do not share have used up their half of the room',
  hint: 'make room on the disk or raise storage.maxsize; until then blobs of private registries, and of those that only "*" allows, are passed on without being cached',
}

function reserveOf({ totalBytes }: Space): number {
  return Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE)
}

/** Most that content can come to where `usedBytes` of it are here: what is configured, or what the disk still gives, if that is less. */
export function reachableBytes(maxBytes: number, usedBytes: number, space: Space): number {
  return Math.min(maxBytes, usedBytes + Math.max(0, space.freeBytes - reserveOf(space)))
}

interface ClaimedBytes {
  /** Not on disk yet. */
  missingBytes(): number
  /** All of the blob, which nobody else counts until it is recorded. */
  wholeBytes(): number
}

/** What one fill or the uploads need, now: what it has written is missing from the free space by itself. */
export interface SpaceClaim extends ClaimedBytes {
  /** Of a registry that does not share (R252): such claims together get no more than a share of the room. */
  readonly isApart: boolean
}

export interface SpaceDeps {
  readonly store: Pick<BlobStore, 'space' | 'partsBytes' | 'describeParts' | 'removePart'>
  /** Most that cached content may take together. Infinity: only the disk limits. */
  readonly maxBytes: number
  /** How much content is recorded now. */
  readonly usedBytes: () => Promise<number>
  /** Did a registry begin this part that shares with others? `source`: its host, as FillExpectation has it. */
  readonly isShared: (source: string | undefined) => boolean
}

/** So many bytes are missing for what was promised, and why. */
interface Shortage {
  readonly bytes: number
  readonly message: string
  readonly hint: string
}

export class SpaceLedger {
  readonly #deps: SpaceDeps
  readonly #claims = new Set<SpaceClaim>()

  constructor(deps: SpaceDeps) {
    this.#deps = deps
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
      await this.check(claim, seen)
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
    return this.#deps.store.space()
  }

  /**
   * Is there room for all that was promised, or, for a claim that is apart, in the share of those? What is left of downloads that failed
   * makes room first. @throws StoreError full
   */
  async check(claim?: SpaceClaim, seen?: Space): Promise<void> {
    const isApart = claim?.isApart === true
    const found = await this.#shortage(isApart, seen)
    if (found === undefined) return
    await this.#makeRoom(found.bytes, isApart)
    const still = await this.#shortage(isApart)
    if (still === undefined) return
    // Nobody else lacks room by that.
    const { message, hint } = isApart ? APART_USED_UP : still
    throw new StoreError('full', message, { hint })
  }

  /**
   * Removes parts: those that registries began which do not share, then the oldest; no more than is missing, and none where all of them
   * would not do. For a claim that is apart none of those that share.
   */
  async #makeRoom(bytes: number, isApart: boolean): Promise<void> {
    const { store, isShared } = this.#deps
    if (bytes > store.partsBytes) return
    const parts = (await store.describeParts())
      .map(part => ({ ...part, isShared: isShared(part.source) }))
      .filter(part => !(isApart && part.isShared))
      .sort((a, b) => Number(a.isShared) - Number(b.isShared) || a.changedAtMs - b.changedAtMs)
    if (bytes > parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)) return
    let freedBytes = 0
    for (const { digest, sizeBytes } of parts) {
      if (freedBytes >= bytes) return
      await store.removePart(digest)
      freedBytes += sizeBytes
    }
  }

  /** `isApart`: of the share that such claims have of the room. Undefined when there is enough. @throws StoreError io */
  async #shortage(isApart: boolean, seen?: Space): Promise<Shortage | undefined> {
    const { store, maxBytes, usedBytes } = this.#deps
    const space = seen ?? (await store.space())
    const diskBytes = space.freeBytes - reserveOf(space)
    const onDisk = this.#missing('missingBytes', diskBytes, isApart)
    if (onDisk > 0) {
      return {
        bytes: onDisk,
        message: 'the disk has no room for this blob',
        hint: 'free space on the file system of storage.rootdirectory; until then blobs are passed on without being cached, and pushes are refused',
      }
    }
    if (maxBytes === Number.POSITIVE_INFINITY) return undefined
    const leftBytes = maxBytes - store.partsBytes - (await usedBytes())
    const allowed = this.#missing('wholeBytes', leftBytes, isApart)
    if (allowed <= 0) return undefined
    return {
      bytes: allowed,
      message: 'storage.maxsize is used up',
      hint: 'raise storage.maxsize; until then blobs are passed on without being cached, and pushes are refused',
    }
  }

  /** How much larger than `roomBytes` the room had to be; nothing when this is not above 0. */
  #missing(bytes: keyof ClaimedBytes, roomBytes: number, isApart: boolean): number {
    const apart = this.#sum(bytes, true)
    const others = this.#sum(bytes, false)
    return apart / (isApart ? APART_SHARE : 1) + others - roomBytes
  }

  /** What `check` would throw now, as a sentence; undefined when there is room. @throws StoreError io */
  async fullBecause(): Promise<string | undefined> {
    const found = await this.#shortage(false)
    if (found === undefined || found.bytes <= this.#deps.store.partsBytes) return undefined
    return `${found.message}: ${found.hint}`
  }

  /** How much could still be promised to what nobody has asked for; nothing when this is not above 0. @throws StoreError */
  async spareBytes(): Promise<number> {
    const { store, maxBytes, usedBytes } = this.#deps
    const space = await store.space()
    const onDisk =
      space.freeBytes -
      this.#sum('missingBytes') -
      Math.max(reserveOf(space), space.totalBytes * SPARE_SHARE)
    if (maxBytes === Number.POSITIVE_INFINITY) return onDisk
    const allowed = maxBytes * (1 - SPARE_SHARE) - this.#sum('wholeBytes') - (await usedBytes())
    return Math.min(onDisk, allowed)
  }

  /** Default: of all claims. */
  #sum(bytes: keyof ClaimedBytes, isApart?: boolean): number {
    let sum = 0
    for (const claim of this.#claims)
      if (isApart === undefined || claim.isApart === isApart) sum += claim[bytes]()
    return sum
  }
}
