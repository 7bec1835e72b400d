// Between the network and the disk: gathers small chunks into larger writes. TLS delivers 16 KiB at
// a time, and each write costs a trip through the thread pool however small it is. Knows nothing of
// hashes, names or files.

export interface WriteBufferOptions {
  /**
   * Two of this size: one takes chunks while the other is being written. Allocated when the first
   * small chunk comes.
   */
  readonly bufferBytes: number
  /**
   * After so long it is written, full or not; undefined: nobody reads what is written, and waits
   * for it.
   */
  readonly followedMs: number | undefined
}

/**
 * For a fill. Larger buffers made no difference that could be measured; at the default limits all
 * fills together stay below 40 MiB. A write wakes a thread and then each reader, which costs far
 * more than the bytes: twenty milliseconds of a line of 10 MB/s are one write, not four.
 */
export const FOLLOWED: WriteBufferOptions = { bufferBytes: 256 * 1024, followedMs: 20 }

/**
 * For an upload, which nobody reads before it is flushed. Twice the size of a fill's saved
 * processor time on a large upload; twice that again saved none.
 */
export const GATHERED: WriteBufferOptions = { bufferBytes: 512 * 1024, followedMs: undefined }

/** Writes the beginning of `bytes` behind all that was written before; returns how much of it. */
export type WriteNext = (bytes: Uint8Array) => Promise<number>

/**
 * What is in the buffer goes to disk as soon as the buffer is full or flushed. When it is followed,
 * the first bytes go at once, because a crowd may wait for them, and later ones no more than
 * followedMs after they came: readers never wait long for a chunk that has arrived, however long
 * the next one takes, and chunks that arrive together are written together.
 */
export class WriteBuffer {
  readonly #writeNext: WriteNext
  readonly #options: WriteBufferOptions
  /** Where in the file the buffer's first byte goes. */
  #position: number
  #filling: Buffer | undefined
  #filledBytes = 0
  #spare: Buffer | undefined
  #hasBegun = false
  /** The bytes in the buffer have waited long enough. */
  #isDue = false
  #inFlight: Promise<void> | undefined
  /** A chunk that goes past the buffer, from when it was given. */
  #past: Promise<void> | undefined
  #scheduled: NodeJS.Timeout | undefined
  #failed: { readonly error: unknown } | undefined

  /** `position`: where in the file the first byte goes. */
  constructor(writeNext: WriteNext, options: WriteBufferOptions, position = 0) {
    this.#writeNext = writeNext
    this.#options = options
    this.#position = position
  }

  /**
   * Resolves when `chunk` is in the buffer or written. It is copied, or written before this
   * resolves.
   */
  async add(chunk: Uint8Array): Promise<void> {
    const { bufferBytes } = this.#options
    if (chunk.length >= bufferBytes) return await this.write(chunk)
    let taken = 0
    while (taken < chunk.length) {
      this.#throwFailure()
      this.#filling ??= Buffer.allocUnsafeSlow(bufferBytes)
      const room = this.#isFull ? 0 : Math.min(bufferBytes - this.#beyond, chunk.length - taken)
      this.#filling.set(chunk.subarray(taken, taken + room), this.#filledBytes)
      this.#filledBytes += room
      taken += room
      if (!this.#isFull) {
        this.#startLater()
      } else if (this.#inFlight === undefined) {
        this.#start()
      } else {
        // Both buffers are full: the disk is slower than the network, and has to be waited for.
        await this.#inFlight
      }
    }
    this.#throwFailure()
  }

  /** Resolves when `chunk` and all before it are written. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#past = this.#writePast(chunk)
    await this.#past
    this.#throwFailure()
  }

  /** Resolves when everything that was given is written. May run beside add and write. */
  async flush(): Promise<void> {
    await this.#past
    await this.#drain()
    this.#throwFailure()
  }

  /**
   * What is added next goes so much further on in the file, since what lies between came another
   * way. For when it is flushed.
   */
  moveOn(lengthBytes: number): void {
    this.#position += lengthBytes
  }

  /** Gives the memory back: nothing is added any more. */
  close(): void {
    this.#filling = this.#spare = undefined
  }

  /**
   * As far as the next multiple of its size in the file: the kernel keeps in memory what was
   * written at once in pieces as large as their place allows, and the fewer there are, the less it
   * costs to send them.
   */
  get #isFull(): boolean {
    return this.#filledBytes > 0 && this.#beyond === 0
  }

  /** Behind the last multiple of the buffer's size. */
  get #beyond(): number {
    return (this.#position + this.#filledBytes) % this.#options.bufferBytes
  }

  /** Never rejects, like all that may be waited for by another caller. */
  async #writePast(chunk: Uint8Array): Promise<void> {
    await this.#drain()
    this.#position += chunk.length
    if (this.#failed === undefined) await this.#writeAll(chunk)
    this.#past = undefined
  }

  async #drain(): Promise<void> {
    do {
      this.#start()
      await this.#inFlight
    } while (this.#inFlight !== undefined || (this.#filledBytes > 0 && this.#failed === undefined))
    // An upload between two requests takes no memory.
    if (this.#options.followedMs === undefined) this.#filling = this.#spare = undefined
  }

  #startLater(): void {
    const { followedMs } = this.#options
    if (followedMs === undefined) return
    if (!this.#hasBegun) return this.#start()
    this.#scheduled ??= setTimeout(() => {
      this.#isDue = true
      this.#start()
    }, followedMs)
  }

  #start(): void {
    clearTimeout(this.#scheduled)
    this.#scheduled = undefined
    if (this.#filling === undefined || this.#filledBytes === 0) return
    if (this.#inFlight !== undefined || this.#failed !== undefined) return
    this.#hasBegun = true
    this.#isDue = false
    const buffer = this.#filling
    const bytes = buffer.subarray(0, this.#filledBytes)
    this.#filling = this.#spare
    this.#spare = undefined
    this.#position += this.#filledBytes
    this.#filledBytes = 0
    this.#inFlight = this.#writeAll(bytes).then(() => {
      this.#inFlight = undefined
      if (this.#failed === undefined) this.#spare = buffer
      if (this.#isDue || this.#isFull) this.#start()
      else if (this.#filledBytes > 0) this.#startLater()
    })
  }

  /** Never rejects: what went wrong is remembered for the next call. */
  async #writeAll(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    try {
      while (rest.length > 0) rest = rest.subarray(await this.#writeNext(rest))
    } catch (error) {
      this.#failed = { error }
    }
  }

  #throwFailure(): void {
    if (this.#failed !== undefined) throw this.#failed.error
  }
}
