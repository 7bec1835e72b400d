// A fill's room on the disk: looked for while the upstream is asked, promised for the whole blob, and given back when the fill is over.
// How much room there is, and who else was promised some, is the ledger's business (space.ts).
import type { Space } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { SpaceLedger } from '../space.ts'

/** What the disk had free so lately counts: in this time less is written than the reserve has. */
const SPACE_SEEN_MS = 100

/** What a fill has on disk; nothing before its file is there. */
export interface OnDisk {
  readonly contiguousBytes: number
  readonly aheadBytes: number
}

const NOTHING: OnDisk = { contiguousBytes: 0, aheadBytes: 0 }

export class FillRoom {
  readonly #space: SpaceLedger
  readonly #clock: Clock
  readonly #onDisk: () => OnDisk | undefined
  #seen: { readonly space: Promise<Space | undefined>; readonly atMs: number } | undefined
  #promised: { giveBack(): void } | undefined
  #isOver = false

  constructor(space: SpaceLedger, clock: Clock, onDisk: () => OnDisk | undefined) {
    this.#space = space
    this.#clock = clock
    this.#onDisk = onDisk
  }

  /** Looks at the disk now, so that the upstream's answer does not wait for it. */
  look(): void {
    // Who reserves looks again.
    const space = this.#space.look().catch(() => undefined)
    this.#seen = { space, atMs: this.#clock.monotonicMs() }
  }

  /** Room for the whole blob, once; while its length is not known, for what comes next. MUST NOT overlap. @throws StoreError full */
  async reserve(sizeBytes: number | undefined): Promise<void> {
    if (this.#promised !== undefined) {
      return sizeBytes === undefined ? await this.#space.check() : undefined
    }
    const onDisk = () => this.#onDisk() ?? NOTHING
    const claim = {
      missingBytes: () => {
        const { contiguousBytes, aheadBytes } = onDisk()
        return Math.max(0, (sizeBytes ?? 0) - contiguousBytes - aheadBytes)
      },
      wholeBytes: () => Math.max(sizeBytes ?? 0, onDisk().contiguousBytes),
    }
    const promised = await this.#space.promise(claim, await this.#lately())
    // A fill can fail while the disk is still being looked at.
    if (this.#isOver) promised.giveBack()
    else this.#promised = promised
  }

  /** The fill is over: its blob is recorded, or not wanted any more. */
  giveBack(): void {
    this.#isOver = true
    this.#promised?.giveBack()
  }

  /** What was seen, undefined when that is too old. */
  async #lately(): Promise<Space | undefined> {
    const seen = this.#seen
    if (seen === undefined || this.#clock.monotonicMs() - seen.atMs > SPACE_SEEN_MS)
      return undefined
    return await seen.space
  }
}
