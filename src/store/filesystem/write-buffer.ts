// Between a download and the disk: gathers small chunks into larger writes. TLS delivers 16 KiB at a time, and each write
// costs a trip through the thread pool however small it is. Knows nothing of hashes, names or files.
import type { Buffer as NodeBuffer } from 'node:buffer'

/**
 * Two buffers of this size per fill: one takes chunks while the other is being written. Larger ones made no difference
 * that could be measured; at the default limits all fills together stay below 40 MiB.
 */
export const WRITE_BUFFER_BYTES = 256 * 1024

/** Writes the beginning of `bytes` behind all that was written before; returns how much of it. */
export type WriteNext = (bytes: Uint8Array) => Promise<number>

/**
 * What is in the buffer goes to disk at the end of the event-loop turn that brought it, or when the buffer is full, or when
 * the write before it ends: readers that follow the file never wait for a chunk that has arrived, however
 * long the next one takes, and chunks that arrive together are written together.
 */
export class WriteBuffer {
  readonly #writeNext: WriteNext
  #filling: NodeBuffer | undefined
  #filledBytes = 0
  #spare: NodeBuffer | undefined
  #inFlight: Promise<void> | undefined
  #scheduled: NodeJS.Immediate | undefined
  #failed: { readonly error: unknown } | undefined
  /** What a failed write left over, and then the rest of the chunk that could not be taken. */
  #rests: { ofWrite: Uint8Array; ofChunk: Uint8Array } | undefined

  constructor(writeNext: WriteNext) {
    this.#writeNext = writeNext
  }

  /** Resolves when `chunk` is in the buffer or written. It is copied, or written before this resolves. */
  async add(chunk: Uint8Array): Promise<void> {
    if (chunk.length >= WRITE_BUFFER_BYTES) return await this.write(chunk)
    let taken = 0
    while (taken < chunk.length) {
      this.#throwFailure(chunk.subarray(taken))
      this.#filling ??= Buffer.allocUnsafeSlow(WRITE_BUFFER_BYTES)
      const room = Math.min(WRITE_BUFFER_BYTES - this.#filledBytes, chunk.length - taken)
      this.#filling.set(chunk.subarray(taken, taken + room), this.#filledBytes)
      this.#filledBytes += room
      taken += room
      if (this.#filledBytes < WRITE_BUFFER_BYTES) {
        this.#scheduled ??= setImmediate(() => this.#start())
      } else if (this.#inFlight === undefined) {
        this.#start()
      } else {
        // Both buffers are full: the disk is slower than the network, and has to be waited for.
        await this.#inFlight
      }
    }
    this.#throwFailure(EMPTY)
  }

  /** Resolves when `chunk` and all before it are written. */
  async write(chunk: Uint8Array): Promise<void> {
    await this.#drain()
    this.#throwFailure(chunk)
    await this.#writeAll(chunk)
    this.#throwFailure(EMPTY)
  }

  /** Resolves when everything that was added is written. */
  async flush(): Promise<void> {
    await this.#drain()
    this.#throwFailure(EMPTY)
  }

  /** Waits for the write in flight, then forgets what was not written and why. */
  async reset(): Promise<void> {
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    this.#filledBytes = 0
    await this.#inFlight
    this.#failed = undefined
    this.#rests = undefined
  }

  /** A copy of what was handed over and is not written; to be asked for when no write is running. */
  get unwritten(): Uint8Array {
    const filled = this.#filling?.subarray(0, this.#filledBytes) ?? EMPTY
    return Buffer.concat([this.#rests?.ofWrite ?? EMPTY, filled, this.#rests?.ofChunk ?? EMPTY])
  }

  async #drain(): Promise<void> {
    this.#start()
    while (this.#inFlight !== undefined) await this.#inFlight
  }

  #start(): void {
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    if (this.#filling === undefined || this.#filledBytes === 0) return
    if (this.#inFlight !== undefined || this.#failed !== undefined) return
    const buffer = this.#filling
    const bytes = buffer.subarray(0, this.#filledBytes)
    this.#filling = this.#spare
    this.#spare = undefined
    this.#filledBytes = 0
    this.#inFlight = this.#writeAll(bytes).then(() => {
      this.#inFlight = undefined
      if (this.#failed === undefined) this.#spare = buffer
      this.#start()
    })
  }

  /** Never rejects: what went wrong is remembered for the next call. */
  async #writeAll(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    try {
      while (rest.length > 0) rest = rest.subarray(await this.#writeNext(rest))
    } catch (error) {
      this.#failed = { error }
      this.#rests = { ofWrite: Uint8Array.from(rest), ofChunk: EMPTY }
    }
  }

  #throwFailure(restOfChunk: Uint8Array): void {
    if (this.#failed === undefined) return
    // Only the first call after the failure still hands over bytes that count.
    if (this.#rests !== undefined && this.#rests.ofChunk.length === 0) {
      this.#rests.ofChunk = Uint8Array.from(restOfChunk)
    }
    throw this.#failed.error
  }
}

const EMPTY = new Uint8Array(0)
