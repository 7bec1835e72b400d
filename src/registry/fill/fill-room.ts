// A fill's room on the disk: looked for while the upstream is asked, promised for the whole blob,
// made as its bytes come, and given back when the fill is over. How much room there is, and who
// else was promised some, is the ledger's business (space/ledger.ts).
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Space } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { SpaceClaim } from '../space/claim.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import { RoomAhead } from '../space/room-ahead.ts'

/** What the disk had free so lately counts: in this time less is written than the reserve has. */
const SPACE_SEEN_MS = 100

/** What a fill has on disk; nothing before its file is there. */
export interface OnDisk {
  readonly contiguousBytes: number
  readonly aheadBytes: number
}

const noEffect = (): void => {}

const NOTHING: OnDisk = { contiguousBytes: 0, aheadBytes: 0 }

export interface FillRoomOptions {
  readonly from: SpaceClaim['from']
  readonly of: Repository
  readonly onDisk: () => OnDisk | undefined
}

export class FillRoom {
  readonly #space: SpaceLedger
  readonly #clock: Clock
  #seen: { readonly space: Promise<Space | undefined>; readonly atMs: number } | undefined
  readonly #onDisk: FillRoomOptions['onDisk']
  readonly #claims: Pick<SpaceClaim, 'from' | 'of'>
  readonly #ahead: RoomAhead
  /** Undefined while nothing counts. */
  #giveBack: (() => void) | undefined
  #isPromised = false
  /** For so much there is a promise; only a later response may tell how much all of it is. */
  #sizeBytes: number | undefined
  #published: Digest | undefined
  #isOver = false

  constructor(space: SpaceLedger, clock: Clock, { onDisk, ...claims }: FillRoomOptions) {
    this.#space = space
    this.#clock = clock
    this.#claims = claims
    this.#onDisk = onDisk
    this.#ahead = new RoomAhead(space, claims)
  }

  /** Looks at the disk now, so that the upstream's response does not wait for it. */
  look(): void {
    // Who reserves looks again.
    const space = this.#space.look().catch(() => undefined)
    this.#seen = { space, atMs: this.#clock.monotonicMs() }
  }

  /**
   * The file is there: what an earlier fill has left in it counts from now on. To be called at
   * once.
   */
  opened(): void {
    if ((this.#onDisk() ?? NOTHING).contiguousBytes > 0) this.#claim()
  }

  /**
   * Promises room for a length that only a manifest says, whose author may make it up: nothing
   * leaves for it. No effect where some was promised. MUST NOT overlap, nor with `reserve`.
   * @throws StoreError full
   */
  async promise(sizeBytes: number): Promise<void> {
    if (!this.#isPromised) await this.#admit(sizeBytes)
  }

  /**
   * Room for the whole blob, once the upstream has said how long it is; before that, for what comes
   * next. MUST NOT overlap, and nothing is being written.
   * @throws StoreError full
   */
  async reserve(sizeBytes: number | undefined): Promise<void> {
    if (sizeBytes === undefined || sizeBytes !== this.#sizeBytes || !this.#isPromised)
      await this.#admit(sizeBytes ?? this.#sizeBytes)
    this.#begin()
    if (this.#sizeBytes === undefined)
      await this.#space.make({ ...this.#claims, bytes: 0 }, noEffect)
    else await this.#ahead.ready()
  }

  /** So much has come of a length that nobody knows: is room to be reserved for more? */
  isDue(bytes: number): boolean {
    return this.#space.unsaid.isDue(bytes)
  }

  /** As RoomAhead.taking. */
  taking(bytes: number): Promise<void> | undefined {
    return this.#ahead.taking(bytes)
  }

  async #admit(sizeBytes: number | undefined): Promise<void> {
    const seen = this.#isPromised ? undefined : await this.#lately()
    const more = this.#beyondPromised(sizeBytes)
    await this.#space.admit(more, roomBytes => this.#count(sizeBytes, roomBytes), seen)
  }

  #begin(): void {
    const { contiguousBytes, aheadBytes } = this.#onDisk() ?? NOTHING
    const hereBytes = contiguousBytes + aheadBytes
    this.#ahead.begin({ hereBytes, wholeBytes: this.#sizeBytes ?? 0 })
  }

  /** As in SpaceClaim. */
  published(digest: Digest): void {
    this.#published = digest
  }

  /** The fill is over: its blob is recorded, or not wanted any more. */
  giveBack(): void {
    this.#isOver = true
    this.#giveBack?.()
  }

  #count(sizeBytes: number | undefined, roomBytes: number): void {
    this.#sizeBytes = sizeBytes
    this.#begin()
    this.#ahead.found(roomBytes)
    this.#isPromised = true
    this.#claim()
  }

  #claim(): void {
    // A fill can fail while the disk is still being looked at.
    if (this.#isOver) return
    this.#giveBack ??= this.#space.count({
      ...this.#claims,
      published: () => this.#published,
      missingBytes: () => this.#missingBytes(this.#sizeBytes),
      wholeBytes: () => this.#wholeBytes(this.#sizeBytes),
      roomBytes: () => this.#roomBytes,
    })
  }

  #beyondPromised(sizeBytes: number | undefined): SpaceClaim {
    const beyond = (bytes: (of: number | undefined) => number) =>
      bytes(sizeBytes) - (this.#giveBack === undefined ? 0 : bytes(this.#sizeBytes))
    return {
      ...this.#claims,
      missingBytes: () => beyond(of => this.#missingBytes(of)),
      wholeBytes: () => beyond(of => this.#wholeBytes(of)),
      roomBytes: () => 0,
    }
  }

  get #roomBytes(): number {
    const { contiguousBytes, aheadBytes } = this.#onDisk() ?? NOTHING
    return this.#ahead.roomBytes(contiguousBytes + aheadBytes)
  }

  #missingBytes(sizeBytes = 0): number {
    const { contiguousBytes, aheadBytes } = this.#onDisk() ?? NOTHING
    return Math.max(0, sizeBytes - contiguousBytes - aheadBytes)
  }

  #wholeBytes(sizeBytes = 0): number {
    return Math.max(sizeBytes, (this.#onDisk() ?? NOTHING).contiguousBytes)
  }

  /** What was seen, undefined when that is too old. */
  async #lately(): Promise<Space | undefined> {
    const seen = this.#seen
    if (seen === undefined || this.#clock.monotonicMs() - seen.atMs > SPACE_SEEN_MS)
      return undefined
    return await seen.space
  }
}
