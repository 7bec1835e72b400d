// Where the bytes of one range go: behind what is there when it is their turn, ahead of it
// otherwise. Small pieces that go ahead are written together, since each write is a trip through
// the thread pool.
import type { FillProgress } from './fill-progress.ts'
import { freeChunk } from '../ports/chunk-memory.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'

/**
 * Written ahead at once, and as far as a multiple of it in the blob, so that the kernel keeps it in
 * large pieces (store/filesystem/growing/write-buffer.ts). One for each connection that is read:
 * eighteen of them are five megabytes.
 */
const GATHERED_BYTES = 256 * 1024

export class RangeSink {
  readonly #file: FillFile
  readonly #progress: Pick<FillProgress, 'begin'>
  #chunks: Uint8Array[] = []
  #chunksBytes = 0
  #position: number

  /** `position`: where the range begins. */
  constructor(file: FillFile, progress: Pick<FillProgress, 'begin'>, position: number) {
    this.#file = file
    this.#progress = progress
    this.#position = position
  }

  /** Takes the chunk, which is the sink's from now on. @throws StoreError full, io */
  async put(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(chunk)
    this.#chunksBytes += chunk.length
    if (this.#isInTurn) await this.#append()
    else if (this.#beyond < this.#chunksBytes) await this.#writeAhead(this.#beyond)
  }

  /** Resolves when everything is with the file. @throws StoreError full, io */
  async end(): Promise<void> {
    if (this.#isInTurn) await this.#append()
    else if (this.#chunksBytes > 0) await this.#writeAhead(0)
  }

  get #isInTurn(): boolean {
    return this.#position === this.#file.appendedBytes
  }

  /** So much lies behind the last multiple: all there is when none has been reached yet. */
  get #beyond(): number {
    const beyond = (this.#position + this.#chunksBytes) % GATHERED_BYTES
    return Math.min(beyond, this.#chunksBytes)
  }

  async #append(): Promise<void> {
    for (const chunk of this.#take()) {
      if (this.#file.appendedBytes === 0) await this.#progress.begin(chunk)
      await this.#file.append(chunk)
      freeChunk(chunk)
    }
  }

  /** All but the last `leftBytes`, which are fewer than the last chunk has. */
  async #writeAhead(leftBytes: number): Promise<void> {
    const position = this.#position
    const chunks = this.#take()
    const parts = leftBytes === 0 ? chunks : this.#leave(chunks, leftBytes)
    await this.#file.writeAhead(position, parts)
    for (const chunk of chunks) freeChunk(chunk)
  }

  /** Copied, because the memory of its chunk is freed. */
  #leave(chunks: readonly Uint8Array[], leftBytes: number): readonly Uint8Array[] {
    const last = chunks.at(-1)
    if (last === undefined) return chunks
    const end = last.length - leftBytes
    this.#chunks = [new Uint8Array(last.subarray(end))]
    this.#chunksBytes = leftBytes
    this.#position -= leftBytes
    return [...chunks.slice(0, -1), last.subarray(0, end)]
  }

  #take(): Uint8Array[] {
    const chunks = this.#chunks
    this.#position += this.#chunksBytes
    this.#chunks = []
    this.#chunksBytes = 0
    return chunks
  }
}
