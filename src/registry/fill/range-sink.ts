// Where the bytes of one range go: behind what is there when it is their turn, ahead of it otherwise. Small pieces that go ahead are
// written together, since each write is a trip through the thread pool.
import type { FillProgress } from './fill-progress.ts'
import { letGo } from '../let-go.ts'
import type { FillFile } from '../ports/blob-store.ts'

/** Written ahead at once. One for each line that is read: eighteen of them are five megabytes. */
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
    else if (this.#chunksBytes >= GATHERED_BYTES) await this.#writeAhead()
  }

  /** Resolves when everything is with the file. @throws StoreError full, io */
  async end(): Promise<void> {
    if (this.#isInTurn) await this.#append()
    else if (this.#chunksBytes > 0) await this.#writeAhead()
  }

  get #isInTurn(): boolean {
    return this.#position === this.#file.appendedBytes
  }

  async #append(): Promise<void> {
    for (const chunk of this.#take()) {
      if (this.#file.appendedBytes === 0) await this.#progress.begin(chunk)
      await this.#file.append(chunk)
      letGo(chunk)
    }
  }

  async #writeAhead(): Promise<void> {
    const position = this.#position
    const chunks = this.#take()
    await this.#file.writeAhead(position, chunks)
    for (const chunk of chunks) letGo(chunk)
  }

  #take(): Uint8Array[] {
    const chunks = this.#chunks
    this.#position += this.#chunksBytes
    this.#chunks = []
    this.#chunksBytes = 0
    return chunks
  }
}
