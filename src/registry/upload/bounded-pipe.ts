// Pieces handed from one who writes to one who reads, a bounded number of bytes apart: whoever is
// faster waits for the other.

export class BoundedPipe {
  readonly #limitBytes: number
  readonly #pieces: Uint8Array[] = []
  #waitingBytes = 0
  #state: 'open' | 'ended' | 'left' = 'open'
  #failure: unknown
  /** Told whenever something has changed. */
  #changed = Promise.withResolvers<void>()

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /**
   * The piece is the reader's from now on. Resolves when there is room for another; at once, with
   * nothing kept, when nobody reads on or the pipe was ended.
   */
  async write(piece: Uint8Array): Promise<void> {
    if (this.#state !== 'open') return
    this.#pieces.push(piece)
    this.#waitingBytes += piece.length
    this.#tell()
    while (this.#state === 'open' && this.#waitingBytes >= this.#limitBytes) {
      await this.#changed.promise
    }
  }

  /** The reader ends after what was written. No effect when it has left. */
  end(): void {
    if (this.#state === 'open') this.#state = 'ended'
    this.#tell()
  }

  /** The reader throws `failure`, whatever was written. */
  fail(failure: unknown): void {
    this.#failure ??= failure
    this.leave()
  }

  /** Nobody reads on: what was written is dropped, and no writer waits. */
  leave(): void {
    this.#state = 'left'
    this.#pieces.length = 0
    this.#waitingBytes = 0
    this.#tell()
  }

  /** For one reader. */
  async *read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure
        const piece = this.#pieces.shift()
        if (piece !== undefined) {
          this.#waitingBytes -= piece.length
          this.#tell()
          yield piece
        } else if (this.#state === 'open') await this.#changed.promise
        else return
      }
    } finally {
      this.leave()
    }
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
