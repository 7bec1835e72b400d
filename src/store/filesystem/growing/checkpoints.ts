// Syncing of a growing file, on the way and at its end. A sync that failed is never tried again:
// from then on the file is broken, for the kernel may have dropped what it could not write.
import type { FileHandle } from 'node:fs/promises'
import { type Disk, orStoreError } from '../disk.ts'
import type { GrowthRecord } from './growth-record.ts'

/**
 * How much may be lost in a power cut. Syncing on the way also keeps the fsync before the rename
 * short. Often enough for a link of 10 Mbit/s to lose less than a minute, rare enough not to be
 * felt.
 */
const CHECKPOINT_BYTES = 64 * 1024 * 1024

export interface SyncedFile {
  readonly disk: Disk
  readonly file: FileHandle
  /** For messages. */
  readonly what: string
  readonly record: GrowthRecord
}

export class Checkpoints {
  readonly #synced: SyncedFile
  #running: Promise<void> | undefined
  #broken: { readonly error: unknown } | undefined

  constructor(synced: SyncedFile) {
    this.#synced = synced
  }

  get isBroken(): boolean {
    return this.#broken !== undefined
  }

  /** @throws what broke the file */
  throwIfBroken(): void {
    if (this.#broken !== undefined) throw this.#broken.error
  }

  /**
   * The file has this many bytes now: begins a checkpoint beside the writes when it is time for
   * one.
   */
  reach(lengthBytes: number): void {
    if (lengthBytes - this.#synced.record.syncedBytes < CHECKPOINT_BYTES || this.isBroken) return
    this.#running ??= this.#make(lengthBytes).finally(() => {
      this.#running = undefined
    })
  }

  /**
   * Makes the first `lengthBytes` durable and says so beside the file.
   * @throws StoreError io, full; the file is broken then
   */
  async syncAll(lengthBytes: number): Promise<void> {
    const { disk, file, what, record } = this.#synced
    try {
      await orStoreError(disk, `sync ${what}`, () => file.datasync())
    } catch (error) {
      // Nothing that the file holds can be believed any more.
      this.#broken = { error }
      throw error
    }
    record.syncedBytes = lengthBytes
    await record.write(true)
  }

  /** Resolves when no sync and no write of the record is running. */
  async settled(): Promise<void> {
    await this.#running
    await this.#synced.record.settled()
  }

  /** Never rejects. */
  async #make(lengthBytes: number): Promise<void> {
    try {
      await this.syncAll(lengthBytes)
    } catch {
      // The file is broken: the next call of its writer throws it.
    }
  }
}
