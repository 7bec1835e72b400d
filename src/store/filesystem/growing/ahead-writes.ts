// Writes into a part beyond its contiguous beginning, which leave holes. A part with holes is
// longer than what may be believed of it, so its sidecar says how much that is before the first
// such write, and again as the beginning grows (docs/storage-format.md, "Sidecars").
import type { FileHandle } from 'node:fs/promises'
import { type Disk, orStoreError, writevFully } from '../disk.ts'
import type { GrowthRecord } from './growth-record.ts'
import { Stretches } from '../../stretches.ts'

/**
 * How much of the beginning a killed process may lose: a second of a fast link, for one small file
 * written in that time.
 */
const RECORD_STEP_BYTES = 8 * 1024 * 1024

export interface AheadFile {
  readonly disk: Disk
  readonly file: FileHandle
  /** For messages. */
  readonly what: string
  readonly record: GrowthRecord
}

export class AheadWrites {
  readonly #ahead: AheadFile
  readonly #stretches = new Stretches()
  readonly #running = new Set<Promise<unknown>>()
  #isSparse = false
  #recorded: Promise<void> | undefined
  #recordedBytes = 0

  constructor(ahead: AheadFile) {
    this.#ahead = ahead
  }

  /** May there be holes? Then the sidecar must say how long the beginning is. */
  get isSparse(): boolean {
    return this.#isSparse
  }

  get bytes(): number {
    return this.#stretches.bytes
  }

  /** Resolves when `chunks` are on disk. @throws StoreError full, io */
  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const writing = this.#write(position, chunks)
    const settled = writing.catch(() => {})
    this.#running.add(settled)
    await writing.finally(() => this.#running.delete(settled))
  }

  async #write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const { disk, what, file, record } = this.#ahead
    this.#isSparse = true
    this.#recorded ??= orStoreError(disk, `write ahead in ${what}`, () => record.mustWrite())
    await this.#recorded
    const lengthBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    await orStoreError(disk, `write ahead in ${what}`, () => writevFully(file, chunks, position))
    this.#stretches.add(position, position + lengthBytes)
  }

  /** What lies at `position` is contiguous from now on: tells where it ends. */
  take(position: number): number | undefined {
    return this.#stretches.take(position)
  }

  /** The beginning has grown: writes that down beside the writes when it is time. */
  reach(contiguousBytes: number): void {
    if (!this.#isSparse || contiguousBytes - this.#recordedBytes < RECORD_STEP_BYTES) return
    this.#recordedBytes = contiguousBytes
    void this.#ahead.record.write(false)
  }

  /** Cuts the file behind its beginning. MUST NOT overlap with write. @throws StoreError io */
  async cut(contiguousBytes: number): Promise<void> {
    this.forget()
    if (!this.#isSparse) return
    const { disk, what, file } = this.#ahead
    await orStoreError(disk, `cut ${what}`, () => file.truncate(contiguousBytes))
    this.#isSparse = false
    this.#recorded = undefined
    this.#recordedBytes = contiguousBytes
  }

  /** Nothing that was written ahead counts any more; the file stays as it is. */
  forget(): void {
    this.#stretches.clear()
  }

  /** Resolves when no write is running. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }
}
