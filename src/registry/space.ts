// May this much more be written? Asked before a fill or an upload writes its first byte, so that a
// full disk is a decision and not a surprise in the middle of a client's download or push.
import type { BlobStore, Space } from './ports/blob-store.ts'
import { StoreError, type WantedRoom } from './ports/store-error.ts'
import { Turns } from '../async/turns.ts'

/**
 * Left free for the catalog, the log and whatever must still be written when the cache may not
 * grow.
 */
const RESERVE_BYTES = 64 * 1024 * 1024
/** The reserve never takes more than this share of a small disk. */
const RESERVE_SHARE = 0.1
/**
 * Of the limit and of the disk: left to what clients ask for and push, by what nobody has asked for
 * yet.
 */
const SPARE_SHARE = 0.1
/**
 * Of the room that the others leave: to what registries announce that do not share. Who answers to
 * a made-up name can announce anything.
 */
const APART_SHARE = 0.5
const DISK_FULL = {
  message: 'the disk has no room for this blob',
  hint: 'free space on the file system of storage.rootdirectory; until then blobs are passed on without being cached, and pushes are refused',
}
const LIMIT_REACHED = {
  message: 'storage.maxsize is used up',
  hint: 'raise storage.maxsize; until then blobs are passed on without being cached, and pushes are refused',
}
const PROMISED = {
  message: 'others have announced as much as there is room for',
  hint: 'it passes once that is here or given up; where it happens often, free space on the file system of storage.rootdirectory or raise storage.maxsize',
}
const APART_USED_UP = {
  message: 'registries that do not share have used up their half of the room',
  hint: 'make room on the disk or raise storage.maxsize; until then blobs of private registries, and of those that only "*" allows, are passed on without being cached',
}

function reserveOf({ totalBytes }: Space): number {
  return Math.min(RESERVE_BYTES, Math.ceil(totalBytes * RESERVE_SHARE))
}

/**
 * Most that content can come to where `usedBytes` of it are here: what is configured, or what the
 * disk still gives, if that is less.
 */
export function reachableBytes(maxBytes: number, usedBytes: number, space: Space): number {
  return Math.min(maxBytes, usedBytes + Math.max(0, space.freeBytes - reserveOf(space)))
}

/**
 * What one fill or the uploads need, now: what it has written is missing from the free space by
 * itself.
 */
export interface SpaceClaim {
  /**
   * Of a registry that does not share (R252): such claims together get no more than a share of the
   * room.
   */
  readonly isApart: boolean
  /** Not on disk yet. */
  missingBytes(): number
  /** All of the blob, which nobody else counts until it is recorded. */
  wholeBytes(): number
}

/** Asks whether there is room for what was promised already. */
export const NOTHING_MORE: SpaceClaim = {
  isApart: false,
  missingBytes: () => 0,
  wholeBytes: () => 0,
}

export interface SpaceDeps {
  readonly store: Pick<
    BlobStore,
    'space' | 'partsBytes' | 'quarantineBytes' | 'describeParts' | 'removePart'
  >
  /** Most that cached content may take together. Infinity: only the disk limits. */
  readonly maxBytes: number
  /** How much content is recorded now. */
  readonly usedBytes: () => Promise<number>
  /**
   * Did a registry begin this part that shares with others? `source`: its host, as FillExpectation
   * has it.
   */
  readonly isShared: (source: string | undefined) => boolean
}

/** So many bytes are missing for what was promised, and why. */
interface Shortage {
  readonly bytes: number
  /** Of what was asked for, by the same measure. */
  readonly room: WantedRoom
  readonly message: string
  readonly hint: string
}

/** What is there for all that is promised; Infinity without `storage.maxsize`. */
interface Room {
  readonly diskBytes: number
  readonly allowedBytes: number
}

export class SpaceLedger {
  readonly #deps: SpaceDeps
  readonly #claims = new Set<SpaceClaim>()
  readonly #turns = new Turns()

  constructor(deps: SpaceDeps) {
    this.#deps = deps
  }

  /**
   * Counts a claim from now on, without asking whether there is room for it. Returns what gives it
   * back.
   */
  count(claim: SpaceClaim): () => void {
    this.#claims.add(claim)
    return () => void this.#claims.delete(claim)
  }

  /** The disk as it is now, for a promise that is wanted a moment later. @throws StoreError io */
  look(): Promise<Space> {
    return this.#deps.store.space()
  }

  /**
   * Is there room for `more` beside all that was promised, or, when it is apart, in the share of
   * those? Then `count` has to make it count, at once. Before, it counts for nobody: anybody can
   * announce anything. What is left of downloads that failed makes room where there is none.
   * `seen`: what `look` told a moment ago.
   * @throws StoreError full
   */
  async admit(more: SpaceClaim, count: () => void, seen?: Space): Promise<void> {
    if ((await this.#take(more, count, seen)) === undefined) return
    // One at a time: two that are short would count on the same parts.
    const shortage = await this.#turns.take('room', async () => {
      for (;;) {
        const found = await this.#take(more, count)
        // Others may have taken what was freed.
        if (found === undefined || !(await this.#makeRoom(found.bytes, more.isApart))) return found
      }
    })
    if (shortage === undefined) return
    // Nobody else lacks room by that.
    const { isPassing, room } = shortage
    const { message, hint } = more.isApart ? APART_USED_UP : isPassing ? PROMISED : shortage
    throw new StoreError('full', message, { hint, room, isPassing })
  }

  /** Between looking and counting nobody else counts. @throws StoreError io */
  async #take(
    more: SpaceClaim,
    count: () => void,
    seen?: Space,
  ): Promise<(Shortage & { readonly isPassing: boolean }) | undefined> {
    const room = await this.#room(seen)
    const shortage = this.#shortage(room, more)
    if (shortage === undefined) {
      count()
      return undefined
    }
    const unpromised = this.#shortage(room, more, [...this.#claims].map(arrived))
    return { ...shortage, isPassing: (unpromised?.bytes ?? 0) <= this.#deps.store.partsBytes }
  }

  /**
   * Removes parts: those that registries began which do not share, then the oldest; no more than is
   * missing, and none where all of them would not do. For a claim that is apart none of those that
   * share. False when nothing was removed; what others leave meanwhile says nothing.
   */
  async #makeRoom(bytes: number, isApart: boolean): Promise<boolean> {
    const { store, isShared } = this.#deps
    if (bytes > store.partsBytes) return false
    const parts = (await store.describeParts())
      .map(part => ({ ...part, isShared: isShared(part.source) }))
      .filter(part => !(isApart && part.isShared))
      .sort((a, b) => Number(a.isShared) - Number(b.isShared) || a.changedAtMs - b.changedAtMs)
    if (bytes > parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)) return false
    let freedBytes = 0
    for (const { digest, sizeBytes } of parts) {
      if (freedBytes >= bytes) break
      if (await store.removePart(digest)) freedBytes += sizeBytes
    }
    return freedBytes > 0
  }

  /** @throws StoreError io */
  async #room(seen?: Space): Promise<Room> {
    const { store, maxBytes, usedBytes } = this.#deps
    const isLimited = maxBytes !== Number.POSITIVE_INFINITY
    const space = seen ?? (await store.space())
    // Last: a blob that is recorded after this and given back before the claims are summed would
    // count for nobody.
    const recordedBytes = isLimited ? await usedBytes() : 0
    return {
      diskBytes: space.freeBytes - reserveOf(space),
      allowedBytes: isLimited
        ? maxBytes - store.partsBytes - store.quarantineBytes - recordedBytes
        : maxBytes,
    }
  }

  /** Of the disk or of what is allowed, whichever lacks more. Undefined when there is enough. */
  #shortage(room: Room, more: SpaceClaim, others = [...this.#claims]): Shortage | undefined {
    const onDisk = needed('missingBytes', more, others) - room.diskBytes
    const allowed = needed('wholeBytes', more, others) - room.allowedBytes
    if (Math.max(onDisk, allowed) <= 0) return undefined
    const share = more.isApart ? APART_SHARE : 1
    return onDisk >= allowed
      ? { bytes: onDisk, room: roomFor(more.missingBytes(), onDisk * share), ...DISK_FULL }
      : { bytes: allowed, room: roomFor(more.wholeBytes(), allowed * share), ...LIMIT_REACHED }
  }

  /**
   * Why nothing more is admitted now, as a sentence; undefined when there is room.
   * @throws StoreError io
   */
  async fullBecause(): Promise<string | undefined> {
    const found = this.#shortage(await this.#room(), NOTHING_MORE)
    if (found === undefined || found.bytes <= this.#deps.store.partsBytes) return undefined
    return `${found.message}: ${found.hint}`
  }

  /**
   * How much could still be promised to what nobody has asked for; nothing when this is not above
   * 0.
   * @throws StoreError
   */
  async spareBytes(): Promise<number> {
    const { store, maxBytes, usedBytes } = this.#deps
    const space = await store.space()
    const claims = [...this.#claims]
    const onDisk =
      space.freeBytes -
      sum(claims, 'missingBytes') -
      Math.max(reserveOf(space), space.totalBytes * SPARE_SHARE)
    if (maxBytes === Number.POSITIVE_INFINITY) return onDisk
    const usable = maxBytes * (1 - SPARE_SHARE) - store.quarantineBytes
    const allowed = usable - sum(claims, 'wholeBytes') - (await usedBytes())
    return Math.min(onDisk, allowed)
  }
}

/** In whole bytes. A claim of nothing asks for what comes of unknown length. */
function roomFor(wantedBytes: number, lackingBytes: number): WantedRoom {
  const freeBytes = Math.max(0, Math.floor(wantedBytes - lackingBytes))
  return wantedBytes === 0 ? { freeBytes } : { wantedBytes, freeBytes }
}

/** The same if nothing more came of it. */
function arrived(claim: SpaceClaim): SpaceClaim {
  const { isApart } = claim
  const wholeBytes = () => Math.max(0, claim.wholeBytes() - claim.missingBytes())
  return { isApart, missingBytes: () => 0, wholeBytes }
}

type Bytes = 'missingBytes' | 'wholeBytes'

function needed(bytes: Bytes, more: SpaceClaim, others: readonly SpaceClaim[]): number {
  const claims = [...others, more]
  const isApart = (claim: SpaceClaim) => claim.isApart
  const isShared = (claim: SpaceClaim) => !claim.isApart
  const apartBytes = sum(claims.filter(isApart), bytes) / (more.isApart ? APART_SHARE : 1)
  return apartBytes + sum(claims.filter(isShared), bytes)
}

function sum(claims: readonly SpaceClaim[], bytes: Bytes): number {
  return claims.reduce((total, claim) => total + claim[bytes](), 0)
}
