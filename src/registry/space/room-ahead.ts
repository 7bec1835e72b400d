// Room for what is on its way: made while it comes, a piece ahead of it, so that who is as fast as
// the disk removes files does not wait, and who announces much and brings nothing makes no more
// than a piece leave. Told of every chunk that is to be written, so it mostly only compares
// numbers.
import type { Piece, SpaceClaim } from './claim.ts'
import type { SpaceLedger } from './ledger.ts'
import type { GiveUp } from './make-room.ts'

/** As it is when the first piece is asked for. */
export interface Coming {
  readonly hereBytes: number
  readonly wholeBytes: number
}

export class RoomAhead {
  readonly #space: Pick<SpaceLedger, 'make' | 'pieceBytes'>
  readonly #claims: Pick<SpaceClaim, 'from' | 'of'>
  readonly #giveUp: GiveUp | undefined
  #wholeBytes = 0
  /** Of the whole, what is here or about to be. */
  #takenBytes = 0
  /** Of the whole, what has its room. */
  #madeBytes = 0
  #making: Promise<void> | undefined
  /** Ahead of what needs it none could be made: it is tried again when it is needed. */
  #isVain = false

  /** `giveUp`: as of `make`, of all that it is for. */
  constructor(
    space: Pick<SpaceLedger, 'make' | 'pieceBytes'>,
    claims: Pick<Piece, 'from' | 'of'>,
    giveUp?: GiveUp,
  ) {
    this.#space = space
    this.#claims = claims
    this.#giveUp = giveUp
  }

  /** Nothing is being written. */
  begin({ hereBytes, wholeBytes }: Coming): void {
    this.#wholeBytes = wholeBytes
    this.#takenBytes = hereBytes
    this.#madeBytes = Math.min(wholeBytes, Math.max(hereBytes, this.#madeBytes))
    this.#isVain = false
  }

  /** Somebody has found room for so much more of it. */
  found(bytes: number): void {
    this.#madeBytes = Math.min(this.#wholeBytes, this.#madeBytes + bytes)
  }

  /** What has its room where so much is on the disk. */
  roomBytes(onDiskBytes: number): number {
    return Math.max(0, this.#madeBytes - onDiskBytes)
  }

  /**
   * So much more is about to be written: undefined when it may be at once, else what to wait for.
   * Rejects with StoreError full.
   */
  taking(bytes: number): Promise<void> | undefined {
    this.#takenBytes += bytes
    const aheadBytes = this.#madeBytes - this.#takenBytes
    if (this.#isAllMade || aheadBytes >= this.#space.pieceBytes / 2) return undefined
    if (aheadBytes < 0) return this.ready()
    if (!this.#isVain) this.#make().catch(() => (this.#isVain = true))
    return undefined
  }

  /** Resolves when what was taken may be written, and more may come. @throws StoreError full */
  async ready(): Promise<void> {
    while (!this.#isAllMade && this.#madeBytes <= this.#takenBytes) await this.#make()
  }

  get #isAllMade(): boolean {
    return this.#madeBytes >= this.#wholeBytes
  }

  #make(): Promise<void> {
    this.#making ??= this.#makeNext().finally(() => (this.#making = undefined))
    return this.#making
  }

  async #makeNext(): Promise<void> {
    const untilBytes = Math.min(this.#wholeBytes, this.#takenBytes + this.#space.pieceBytes)
    const bytes = untilBytes - this.#madeBytes
    await this.#space.make(
      { ...this.#claims, bytes },
      () => this.found(bytes),
      // Ahead of what needs it nothing is lost yet.
      error => (this.#takenBytes > this.#madeBytes ? this.#giveUp?.(error) : undefined),
    )
    this.#isVain = false
  }
}
