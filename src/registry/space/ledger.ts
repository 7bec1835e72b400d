// May this much more be written? Asked before a fill or an upload writes its first byte, so that a
// full disk is a decision and not a surprise in the middle of a client's download or push. Where
// there is no room it is promised of what may leave, and made piece by piece as bytes come: who
// only says a length makes nothing leave.
import type { BlobStore, Space } from '../ports/blob-store.ts'
import { StoreError } from '../ports/store-error.ts'
import {
  arrived,
  claimOf,
  held,
  NOTHING_MORE,
  type Piece,
  type SpaceClaim,
  sumOf,
} from './claim.ts'
import { Claims, type Rows } from './claims.ts'
import { type RoomByEviction, NO_EVICTION } from './eviction.ts'
import { bytesOf, bytesOfFilesLeft, fileRoomOf, filesAbove } from './file-room.ts'
import { aboveLowWater, fencesOf, type Standing, type StorageLimits } from './limits.ts'
import { type Found, type GiveUp, type MakerDeps, RoomMaker } from './make-room.ts'
import type { Parts } from './remove-parts.ts'
import { type Room, shortageOf, wordsFor } from './shortage.ts'
import { Unsaid } from './unsaid.ts'

/**
 * Of the limit and of the disk: left to what clients ask for and push, by what nobody has asked for
 * yet.
 */
const SPARE_SHARE = 0.1
/**
 * Of the limit: until so much is free, claims that are apart may count on content that may leave.
 * On the word of whoever answers to a made-up name no more leaves than their share of this, however
 * often it is said.
 */
const APART_LEAST_SHARE = 0.25
/**
 * Of what is missing for somebody: whether so much may leave is looked at before the upstream is
 * asked. Where it may not, mostly nothing may; the rest is taken for sure by what the catalog
 * counts.
 */
const SURE_PIECES = 4
/**
 * What nothing could leave for: a look at everything for nothing, which an edge that holds mostly
 * what stays would else pay for at each look.
 */
const VAIN_FOR_MS = 60_000

export interface SpaceDeps extends Parts, Rows, Pick<MakerDeps, 'clock' | 'haste'> {
  readonly store: Parts['store'] & Pick<BlobStore, 'space' | 'quarantineBytes' | 'otherBytes'>
  readonly limits: () => StorageLimits
  /** What a file of content takes, on average. */
  readonly bytesEach: () => Promise<number>
  /** Default: nothing leaves. */
  readonly eviction?: RoomByEviction | undefined
  /** Told when a claim found no room: `trim` is of use. MUST NOT throw. */
  readonly wanted?: (() => void) | undefined
}

export class SpaceLedger {
  readonly #deps: SpaceDeps
  readonly #eviction: RoomByEviction
  readonly #maker: RoomMaker
  readonly #claims: Claims
  readonly unsaid = new Unsaid()
  /** Since content left last for want of room. */
  #isWanted = false
  /** Until then nothing is tried again by itself. */
  #vainUntilMs = 0
  #pieceBytes = 0

  constructor(deps: SpaceDeps) {
    this.#deps = deps
    this.#eviction = deps.eviction ?? NO_EVICTION
    this.#claims = new Claims(deps)
    this.#maker = new RoomMaker({ ...deps, parts: deps, eviction: this.#eviction })
  }

  /**
   * Counts a claim from now on, without asking whether there is room for it. Returns what gives it
   * back.
   */
  count(claim: SpaceClaim): () => void {
    return this.#claims.add(claim)
  }

  /** The disk as it is now, for a promise that is wanted a moment later. @throws StoreError io */
  look(): Promise<Space> {
    return this.#deps.store.space()
  }

  /** Room is made for so much ahead of what comes; as the disk was when it was last looked at. */
  get pieceBytes(): number {
    return this.#pieceBytes
  }

  /**
   * Is there room for `more` beside all that was promised, or could there be, or, when it is apart,
   * in the share of those? Then `count` has to make it count, at once; it is told how much has its
   * room already, all of the first piece or nothing. Nothing leaves for it before `make`: anybody
   * can announce anything. Before it is counted it counts for nobody, for the same reason. `seen`:
   * what `look` told a moment ago.
   * @throws StoreError full
   */
  async admit(more: SpaceClaim, count: (roomBytes: number) => void, seen?: Space): Promise<void> {
    let surelyMadeBytes = 0
    const untilMs = this.#maker.waitsUntilMs
    for (let lately = seen; ; lately = undefined) {
      const { underWay } = this.#eviction
      // Between looking and counting nobody else counts.
      const room = await this.#room(more, lately)
      const shortage = shortageOf(room, more, room.claims())
      if (shortage === undefined || shortage.bytes <= surelyMadeBytes) {
        count(this.#roomNow(room, more))
        return
      }
      if (shortage.bytesToEvict === 0) {
        // A share is used up, also by what failed downloads left of those that have it together.
        if (await this.#maker.removeParts(shortage, more)) continue
        throw await this.#full({ room, shortage }, more)
      }
      const sureBytes = SURE_PIECES * this.#pieceBytes
      if (await this.#maker.couldMake(shortage, more, sureBytes)) surelyMadeBytes = shortage.bytes
      else if (this.#deps.clock.monotonicMs() >= untilMs || !(await this.#maker.waitFor(underWay)))
        throw await this.#full({ room, shortage }, more)
    }
  }

  /** Of the first piece, what there is room for beside what has its own: all, or nothing. */
  #roomNow(room: Room, more: SpaceClaim): number {
    const { from, of } = more
    const bytes = Math.min(more.missingBytes(), this.#pieceBytes)
    const isThere =
      shortageOf(room, claimOf({ from, of, bytes }), room.claims().map(held)) === undefined
    return isThere ? bytes : 0
  }

  /**
   * Makes room for a piece of what was admitted, which is about to be written, or has been where
   * nobody knows the length; then `count` has to make it count, at once. Takes a time that is
   * bounded. Where there is none, `giveUp` is told before anybody else looks.
   * @throws StoreError full
   */
  async make(piece: Piece, count: () => void, giveUp?: GiveUp): Promise<void> {
    const more = claimOf(piece)
    if ((await this.#take(more, count)) === undefined) return
    this.#isWanted = true
    this.#deps.wanted?.()
    const error = await this.#maker.makeFor(more, {
      take: () => this.#take(more, count),
      full: found => this.#full(found, more),
      giveUp,
    })
    if (error !== undefined) throw error
  }

  /** Between looking and counting nobody else counts. @throws StoreError io */
  async #take(more: SpaceClaim, count: () => void): Promise<Found | undefined> {
    const room = await this.#room(more)
    const shortage = shortageOf(room, more, room.claims().map(held))
    if (shortage !== undefined) return { room, shortage }
    count()
    return undefined
  }

  async #full({ room, shortage }: Found, more: SpaceClaim): Promise<StoreError> {
    // Nobody else lacks room where the share of those that are apart is used up.
    const unpromised = shortageOf(room, more, room.claims().map(arrived))
    const isPassing = unpromised === undefined || (await this.#maker.canMake(unpromised, more))
    if (!isPassing && shortage.bytesToEvict > 0) this.#eviction.refused()
    const { message, hint } = wordsFor(shortage, more, isPassing)
    return new StoreError('full', message, { hint, room: shortage.room, isPassing })
  }

  /** @throws StoreError io */
  async #room({ from, of }: SpaceClaim, lately?: Space): Promise<Room> {
    const { store, limits } = this.#deps
    const space = lately ?? (await store.space())
    const { maxBytes, minFreeBytes, pushReserveBytes, pieceBytes } = fencesOf(limits(), space)
    this.#pieceBytes = pieceBytes
    const usableBytes = Math.min(maxBytes, space.totalBytes)
    const apartEvictableBytes = from === 'apart' ? await this.#eviction.evictableBytes(of) : 0
    const fileRoom = await fileRoomOf(space, minFreeBytes, this.#deps.bytesEach)
    // Last: it is to be used at once.
    const { recordedBytes, claims } = await this.#claims.beside()
    return {
      claims,
      diskBytes: space.freeBytes - minFreeBytes,
      allowedBytes: maxBytes - store.partsBytes - this.#restBytes - recordedBytes,
      pushReserveBytes,
      apartEvictableBytes,
      apartLeastBytes: usableBytes * APART_LEAST_SHARE,
      uploadsBytes: this.#deps.idleUploads?.().takenBytes ?? 0,
      fileRoom,
    }
  }

  /**
   * Lets content leave down to the low water, where a limit is passed, by whomever, or somebody
   * found no room. Parts stay: who needs room before is given theirs. Tells how much was to leave.
   * @throws StoreError io
   */
  async trim(signal: AbortSignal): Promise<number> {
    const nowMs = this.#deps.clock.monotonicMs()
    if (nowMs < this.#vainUntilMs) return 0
    await this.#maker.settle()
    // Files first: what leaves for them is none of what is too much after that.
    const { filesAbove } = await this.#standing()
    const forFiles =
      filesAbove === undefined ? 0 : await this.#eviction.makeFiles(filesAbove, signal)
    const bytes = this.#excessBytes(await this.#standing())
    const freedBytes = bytes <= 0 ? 0 : await this.#maker.letGo(bytes, signal)
    const leftBytes = bytesOf(filesAbove) + bytes
    if (leftBytes > 0 && forFiles + freedBytes === 0) this.#vainUntilMs = nowMs + VAIN_FOR_MS
    return leftBytes
  }

  #excessBytes(standing: Standing): number {
    const { fences, takenBytes, freeBytes } = standing
    const isPassed =
      takenBytes > fences.maxBytes - fences.pushReserveBytes ||
      freeBytes < fences.minFreeBytes + fences.pushReserveBytes
    if (!isPassed && !this.#isWanted) return 0
    this.#isWanted = false
    return aboveLowWater({ ...standing, filesAbove: undefined })
  }

  /** What `trim` lets go where a limit is passed. @throws StoreError io */
  async bytesAboveLowWater(): Promise<number> {
    return aboveLowWater(await this.#standing())
  }

  /** Without what is announced: nothing leaves for that before it comes. */
  async #standing(): Promise<Standing> {
    const space = await this.look()
    const fences = fencesOf(this.#deps.limits(), space)
    const fileRoom = await fileRoomOf(space, fences.minFreeBytes, this.#deps.bytesEach)
    const above = filesAbove(fileRoom)
    // Where others have them, a cache that is emptied gives too few.
    const isEnough = bytesOf(above) <= (await this.#eviction.evictableBytes())
    return {
      fences,
      filesAbove: isEnough ? above : undefined,
      takenBytes: await this.takenBytes(),
      freeBytes: space.freeBytes,
    }
  }

  /** What all of the data directory takes now, as far as it is known. @throws StoreError */
  async takenBytes(): Promise<number> {
    const { recordedBytes, claims } = await this.#claims.beside()
    const comeBytes = sumOf(claims().map(arrived), 'wholeBytes')
    return recordedBytes + this.#deps.store.partsBytes + this.#restBytes + comeBytes
  }

  /** What is there beside content, parts and what claims are for. */
  get #restBytes(): number {
    const { quarantineBytes, otherBytes } = this.#deps.store
    return quarantineBytes + otherBytes
  }

  /**
   * Why nothing more that comes from an upstream is admitted now, as a sentence; undefined when
   * there is room, or could be.
   * @throws StoreError io
   */
  async fullBecause(): Promise<string | undefined> {
    const nothing = { ...NOTHING_MORE, from: 'upstream' } as const
    const room = await this.#room(nothing)
    const found = shortageOf(room, nothing, room.claims())
    if (found === undefined || (await this.#maker.canMake(found, nothing))) return undefined
    return `${found.message}: ${found.hint}`
  }

  /**
   * How much could still be promised to what nobody has asked for, what may leave for it included;
   * nothing when this is not above 0.
   * @throws StoreError
   */
  async spareBytes(): Promise<number> {
    const { store, limits } = this.#deps
    const space = await store.space()
    const { maxBytes, minFreeBytes, pushReserveBytes } = fencesOf(limits(), space)
    const evictableBytes = await this.#eviction.evictableBytes()
    const fileRoom = await fileRoomOf(space, minFreeBytes, this.#deps.bytesEach)
    const counted = await this.#claims.beside()
    const claims = counted.claims()
    const onDisk = Math.min(
      space.freeBytes -
        sumOf(claims, 'missingBytes') -
        Math.max(minFreeBytes + pushReserveBytes, space.totalBytes * SPARE_SHARE),
      bytesOfFilesLeft(fileRoom, { from: 'upstream' }, claims.length),
    )
    if (maxBytes === Number.POSITIVE_INFINITY) return onDisk + evictableBytes
    const usable = maxBytes * (1 - SPARE_SHARE) - this.#restBytes
    const allowed = usable - sumOf(claims, 'wholeBytes') - counted.recordedBytes
    return Math.min(onDisk, allowed) + evictableBytes
  }
}
