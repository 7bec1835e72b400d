// What is written down beside a growing file as it grows: its sidecar, kept up to date. What the
// sidecar says beside the length is its owner's: sidecar.ts for fills, upload-sidecar.ts for
// uploads.
import { dirname } from 'node:path'
import { type Disk, removeFile, syncDirectory } from '../disk.ts'
import { replaceFile } from '../small-file.ts'

export interface GrowthRecordOptions {
  readonly path: string
  readonly syncedBytes: number
  /** The sidecar's whole text. */
  readonly format: (syncedBytes: number) => string
}

export class GrowthRecord {
  /**
   * This many bytes of the file are durable. Only ever raised after the sync that makes it true.
   */
  syncedBytes: number
  readonly #disk: Disk
  readonly #options: GrowthRecordOptions
  #writes: Promise<void> = Promise.resolve()

  constructor(disk: Disk, options: GrowthRecordOptions) {
    this.#disk = disk
    this.#options = options
    this.syncedBytes = options.syncedBytes
  }

  /**
   * One write after another; `durable` also syncs the sidecar and the names beside it, the growing
   * file's own among them. Without it a power cut may leave an empty sidecar. That one fails costs
   * a resume after a restart, so it fails nothing: never rejects.
   */
  async write(durable: boolean): Promise<void> {
    await this.#write(durable).catch(() => {})
  }

  /**
   * As write, not durable, for what must not happen unless it is written down.
   * @throws the system's error
   */
  async mustWrite(): Promise<void> {
    await this.#write(false)
  }

  #write(durable: boolean): Promise<void> {
    const { path, format } = this.#options
    const write = this.#writes.then(async () => {
      await replaceFile(this.#disk, path, { text: format(this.syncedBytes), synced: durable })
      if (durable) await syncDirectory(dirname(path))
    })
    this.#writes = write.catch(() => {})
    return write
  }

  /** Resolves when no write is running. */
  async settled(): Promise<void> {
    await this.#writes
  }

  /** Forgets everything, on disk too. @throws the system's error */
  async remove(): Promise<void> {
    await this.#writes
    this.syncedBytes = 0
    await removeFile(this.#options.path)
  }
}
