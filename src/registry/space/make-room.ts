// Room where there is none: of what was broken off, then of content that may leave. How much is
// missing, and for whom, is the ledger's business.
import { Haste } from '../../async/haste.ts'
import { Turns } from '../../async/turns.ts'
import { LATE, within } from '../../async/within.ts'
import type { Clock } from '../ports/clock.ts'
import type { StoreError } from '../ports/store-error.ts'
import type { SpaceClaim } from './claim.ts'
import type { RoomByEviction } from './eviction.ts'
import { type Parts, removableBytes, removeIdle, removeParts } from './remove-parts.ts'
import type { Room, Shortage } from './shortage.ts'

/**
 * A client stands behind it, whose blob can be passed on. In this time a disk unlinks gigabytes;
 * one that does not is busy with something else.
 */
export const EVICTION_WAIT_MS = 3_000

/** As a disk that unlinks nothing is busy with something else; nobody's room is back before. */
const GIVE_UP_WAIT_MS = 1_000
const NOTHING = Promise.resolve()

/** What a look at the room has found for somebody: not enough. */
export interface Found {
  readonly room: Room
  readonly shortage: Shortage
}

/**
 * Resolves once what it was for is gone, where that is of no use without its room. MUST NOT reject.
 */
export type GiveUp = (error: StoreError) => Promise<void> | undefined

interface Making {
  readonly take: () => Promise<Found | undefined>
  readonly full: (found: Found) => Promise<StoreError>
  /** Default: it may go on, or goes when its caller is told. */
  readonly giveUp: GiveUp | undefined
}

type Lack = Pick<Shortage, 'bytes' | 'bytesToEvict' | 'files'>
type For = Pick<SpaceClaim, 'from' | 'of'>

export interface MakerDeps {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly parts: Parts
  readonly eviction: RoomByEviction
  /** Where content that leaves is waited for. Default one of its own. */
  readonly haste?: Haste | undefined
}

export class RoomMaker {
  readonly #deps: MakerDeps
  readonly #haste: Haste
  readonly #turns = new Turns()

  constructor(deps: MakerDeps) {
    this.#deps = deps
    this.#haste = deps.haste ?? new Haste()
  }

  /** Whoever comes now. */
  get waitsUntilMs(): number {
    return this.#deps.clock.monotonicMs() + EVICTION_WAIT_MS
  }

  /**
   * What a run has let go counts no more as what may leave, and its files may still take their
   * room: until they are gone nobody can say what lacks. False where there is no run, nor was one
   * when `seen` was looked at; takes a time that is bounded.
   */
  async settle(seen?: Promise<void>): Promise<boolean> {
    const { clock, eviction } = this.#deps
    const underWay = eviction.underWay ?? seen
    if (underWay === undefined) return false
    await within(clock, EVICTION_WAIT_MS, underWay)
    return true
  }

  /** The same for somebody who needs room. */
  waitFor(seen: Promise<void> | undefined): Promise<boolean> {
    return this.#haste.of(() => this.settle(seen))
  }

  /** Could so much become free, by what the catalog counts? @throws StoreError */
  async canMake({ bytes, bytesToEvict }: Lack, { from, of }: For): Promise<boolean> {
    const { parts, eviction } = this.#deps
    const partsBytes = await removableBytes(parts, from)
    if (bytes <= partsBytes) return true
    // Where a share is used up, nothing that leaves gives any of it.
    return bytesToEvict > 0 && bytes <= partsBytes + (await eviction.evictableBytes(of))
  }

  /**
   * The same before something is begun that would have to end in the middle: up to `sureBytes` it
   * is looked whether they may really leave. What is not known in time is no. @throws StoreError
   */
  async couldMake(lack: Lack, claim: For, sureBytes: number): Promise<boolean> {
    if (!(await this.canMake(lack, claim))) return false
    const { clock, parts, eviction } = this.#deps
    const evictedBytes = lack.bytes - (await removableBytes(parts, claim.from))
    if (evictedBytes <= 0) return true
    const bytes = Math.min(evictedBytes, sureBytes)
    const stopping = new AbortController()
    const looking = eviction.couldMake(bytes, stopping.signal, claim.of)
    const could = await this.#haste.of(() => within(clock, EVICTION_WAIT_MS, looking))
    if (could !== LATE) return could
    stopping.abort(new Error('whoever asked for the room waits no longer'))
    return false
  }

  /**
   * Makes room until enough is found, parts first. Resolves to the error when there is none to be
   * had in time. @throws StoreError
   */
  async makeFor(claim: For, making: Making): Promise<StoreError | undefined> {
    const untilMs = this.waitsUntilMs
    // One at a time: two that are short would count on the same room, and give up for each other.
    const make = () => this.#turns.take('room', () => this.#makeOrGiveUp(untilMs, claim, making))
    return await this.#haste.of(make)
  }

  async #makeOrGiveUp(
    untilMs: number,
    claim: For,
    { take, full, giveUp }: Making,
  ): Promise<StoreError | undefined> {
    const { clock } = this.#deps
    const found = await this.#makeUntil(untilMs, claim, take)
    const error = found && (await full(found))
    if (error !== undefined) await within(clock, GIVE_UP_WAIT_MS, giveUp?.(error) ?? NOTHING)
    return error
  }

  /** What was found last, of who finds too little. */
  async #makeUntil(untilMs: number, claim: For, take: Making['take']): Promise<Found | undefined> {
    for (;;) {
      const { underWay } = this.#deps.eviction
      const found = await take()
      // Others may have taken what was freed.
      if (found === undefined) return undefined
      const { shortage } = found
      // Whoever stands in line behind this one has a client, too.
      if (this.#deps.clock.monotonicMs() >= untilMs) return found
      if (await this.removeParts(shortage, claim)) continue
      // As many as lack now, beside what a run that is under way has let go, would be too many.
      if (shortage.files !== undefined && (await this.settle(underWay))) continue
      if (await this.#evict(shortage, claim, untilMs)) continue
      if (!(await this.settle(underWay))) return found
    }
  }

  /** False when none were removed. @throws StoreError */
  async removeParts(lack: Lack, { from, of }: For): Promise<boolean> {
    const { parts, eviction } = this.#deps
    const isEnough = async (partsBytes: number) =>
      lack.bytes <= partsBytes ||
      (lack.bytesToEvict > 0 && lack.bytes <= partsBytes + (await eviction.evictableBytes(of)))
    return await removeParts(parts, { bytes: lack.bytes, from, isEnough })
  }

  /**
   * So much becomes free, or as much as can, beside what asks for room: uploads that nobody goes on
   * with before content that may be pulled again. Tells how much did.
   */
  async letGo(bytes: number, signal: AbortSignal): Promise<number> {
    const { parts, eviction } = this.#deps
    const ofUploads = await removeIdle(parts.idleUploads?.(), bytes, signal)
    if (bytes <= ofUploads) return ofUploads
    return ofUploads + (await eviction.makeRoom(bytes - ofUploads, signal))
  }

  /** Content leaves, if there is enough of it; what cannot fit takes none from anybody. */
  async #evict({ bytesToEvict, files }: Lack, { of }: For, untilMs: number): Promise<boolean> {
    const bytes = bytesToEvict
    const { clock, eviction } = this.#deps
    const leftMs = untilMs - clock.monotonicMs()
    if (bytes <= 0 || leftMs <= 0 || bytes > (await eviction.evictableBytes(of))) return false
    const stopping = new AbortController()
    const { signal } = stopping
    const making =
      files === undefined ? eviction.makeRoom(bytes, signal, of) : eviction.makeFiles(files, signal)
    const freed = await within(clock, leftMs, making)
    if (freed !== LATE) return freed > 0
    stopping.abort(new Error('whoever needed the room waits no longer'))
    // Some of it may have become free.
    return true
  }
}
