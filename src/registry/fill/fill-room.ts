// A fill's room on the disk: looked for while the upstream is asked, promised for the whole blob,
// and given back when the fill is over. How much room there is, and who else was promised some, is
// the ledger's business (space.ts).
import type { Space } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { SpaceClaim, SpaceLedger } from '../space.ts'

/** What the disk had free so lately counts: in this time less is written than the reserve has. */
const SPACE_SEEN_MS = 100

/** What a fill has on disk; nothing before its file is there. */
export interface OnDisk {
  readonly contiguousBytes: number
  readonly aheadBytes: number
}

const NOTHING: OnDisk = { contiguousBytes: 0, aheadBytes: 0 }

export interface FillRoomOptions {
  /** See SpaceClaim. */
  readonly isApart: boolean
  readonly onDisk: () => OnDisk | undefined
}

export class FillRoom {
  readonly #space: SpaceLedger
  readonly #clock: Clock
  #seen: { readonly space: Promise<Space | undefined>; readonly atMs: number } | undefined
  readonly #onDisk: FillRoomOptions['onDisk']
  readonly #isApart: boolean
  /** Undefined while nothing is promised, and after the end. */
  #giveBack: (() => void) | undefined
  /** For so much there is a promise; only a later response may tell how much all of it is. */
  #sizeBytes: number | undefined
  #isOver = false

  constructor(space: SpaceLedger, clock: Clock, { isApart, onDisk }: FillRoomOptions) {
    this.#space = space
    this.#clock = clock
    this.#isApart = isApart
    this.#onDisk = onDisk
  }

  /** Looks at the disk now, so that the upstream's response does not wait for it. */
  look(): void {
    // Who reserves looks again.
    const space = this.#space.look().catch(() => undefined)
    this.#seen = { space, atMs: this.#clock.monotonicMs() }
  }

  /**
   * Room for the whole blob, once its length is known; before that, for what comes next. MUST NOT
   * overlap.
   * @throws StoreError full
   */
  async reserve(sizeBytes: number | undefined): Promise<void> {
    const isFirst = this.#giveBack === undefined
    if (!isFirst && sizeBytes !== undefined && sizeBytes === this.#sizeBytes) return
    const wanted = sizeBytes ?? this.#sizeBytes
    const seen = isFirst ? await this.#lately() : undefined
    await this.#space.admit(this.#beyondPromised(wanted), () => this.#count(wanted), seen)
  }

  /** The fill is over: its blob is recorded, or not wanted any more. */
  giveBack(): void {
    this.#isOver = true
    this.#giveBack?.()
  }

  #count(sizeBytes: number | undefined): void {
    this.#sizeBytes = sizeBytes
    // A fill can fail while the disk is still being looked at.
    if (this.#isOver) return
    this.#giveBack ??= this.#space.count({
      isApart: this.#isApart,
      missingBytes: () => this.#missingBytes(this.#sizeBytes),
      wholeBytes: () => this.#wholeBytes(this.#sizeBytes),
    })
  }

  #beyondPromised(sizeBytes: number | undefined): SpaceClaim {
    const beyond = (bytes: (of: number | undefined) => number) =>
      bytes(sizeBytes) - (this.#giveBack === undefined ? 0 : bytes(this.#sizeBytes))
    return {
      isApart: this.#isApart,
      missingBytes: () => beyond(of => this.#missingBytes(of)),
      wholeBytes: () => beyond(of => this.#wholeBytes(of)),
    }
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
