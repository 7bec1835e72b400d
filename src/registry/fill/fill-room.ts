// A fill's room on the disk: looked for while the upstream is asked, promised for the whole blob, and given back when the fill is over.
// How much room there is, and who else was promised some, is the ledger's business (space.ts).
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
  #promised: { giveBack(): void } | undefined
  /** Only a later answer may tell it: what was promised before counts for all of it from then on. */
  #sizeBytes: number | undefined
  readonly #claim: SpaceClaim
  #isOver = false

  constructor(space: SpaceLedger, clock: Clock, { isApart, onDisk }: FillRoomOptions) {
    this.#space = space
    this.#clock = clock
    this.#claim = {
      isApart,
      missingBytes: () => {
        const { contiguousBytes, aheadBytes } = onDisk() ?? NOTHING
        return Math.max(0, (this.#sizeBytes ?? 0) - contiguousBytes - aheadBytes)
      },
      wholeBytes: () => Math.max(this.#sizeBytes ?? 0, (onDisk() ?? NOTHING).contiguousBytes),
    }
  }

  /** Looks at the disk now, so that the upstream's answer does not wait for it. */
  look(): void {
    // Who reserves looks again.
    const space = this.#space.look().catch(() => undefined)
    this.#seen = { space, atMs: this.#clock.monotonicMs() }
  }

  /** Room for the whole blob, once its length is known; before that, for what comes next. MUST NOT overlap. @throws StoreError full */
  async reserve(sizeBytes: number | undefined): Promise<void> {
    const isCounted = sizeBytes !== undefined && sizeBytes === this.#sizeBytes
    this.#sizeBytes = sizeBytes ?? this.#sizeBytes
    if (this.#promised === undefined) await this.#promise()
    else if (!isCounted) await this.#space.check(this.#claim)
  }

  /** The fill is over: its blob is recorded, or not wanted any more. */
  giveBack(): void {
    this.#isOver = true
    this.#promised?.giveBack()
  }

  async #promise(): Promise<void> {
    const promised = await this.#space.promise(this.#claim, await this.#lately())
    // A fill can fail while the disk is still being looked at.
    if (this.#isOver) promised.giveBack()
    else this.#promised = promised
  }

  /** What was seen, undefined when that is too old. */
  async #lately(): Promise<Space | undefined> {
    const seen = this.#seen
    if (seen === undefined || this.#clock.monotonicMs() - seen.atMs > SPACE_SEEN_MS)
      return undefined
    return await seen.space
  }
}
