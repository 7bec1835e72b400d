// A file that one writer makes longer and anybody may read meanwhile, until it becomes a blob, is
// left for later or goes: what fills and uploads have in common. Whether the bytes are the right
// ones is for its owner to know. When it is synced on the way is checkpoints.ts; the last steps of
// publication are publish.ts.
import type { FileHandle } from 'node:fs/promises'
import type {
  ContentClass,
  ReadHandle,
  StoredBlob,
} from '../../../registry/ports/blob-store-content.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { createReadBuffer } from '../../../registry/ports/chunk-memory.ts'
import type { AheadWrites } from './ahead-writes.ts'
import { Checkpoints } from './checkpoints.ts'
import { type Disk, orStoreError, readFully, removeFile, writeSome } from '../disk.ts'
import type { GrowthRecord } from './growth-record.ts'
import { publish } from './publish.ts'
import { growingHandle, openOwnFile } from '../read-handle.ts'
import type { Turns } from '../../../async/turns.ts'
import { WriteBuffer, type WriteBufferOptions } from './write-buffer.ts'

/** Per read of what was written ahead: about a millisecond of hashing. */
const TAKE_IN_BYTES = 1024 * 1024

export interface Growth {
  readonly disk: Disk
  readonly turns: Turns
  /** Open for writing; belongs to the growing file from now on. */
  readonly file: FileHandle
  readonly path: string
  /** For messages: `the part of sha256:…`. */
  readonly what: string
  readonly lengthBytes: number
  readonly record: GrowthRecord
  readonly buffer: WriteBufferOptions
  /** Where others write into the file beyond what it has without a gap. */
  readonly ahead?: AheadWrites
  /** Called each time `contiguousBytes` has risen. */
  readonly grown: (() => void) | undefined
  /**
   * Called once, when the file is closed and the next writer may open it. `leftBytes`: of the file,
   * where it is there; 0 where there is a sidecar alone; undefined where there is nothing.
   */
  readonly ended: (leftBytes: number | undefined) => void
}

export class GrowingFile {
  readonly #growth: Growth
  readonly #buffer: WriteBuffer
  readonly #checkpoints: Checkpoints
  #contiguousBytes: number
  /** What uses the file or its name beside the writes. */
  readonly #beside = new Set<Promise<unknown>>()
  #open = true
  #stays: unknown

  constructor(growth: Growth) {
    this.#growth = growth
    const { buffer, lengthBytes } = growth
    this.#buffer = new WriteBuffer(bytes => this.#writeNext(bytes), buffer, lengthBytes)
    this.#checkpoints = new Checkpoints(growth)
    this.#contiguousBytes = growth.lengthBytes
  }

  /** Bytes on disk from 0 without a gap. */
  get contiguousBytes(): number {
    return this.#contiguousBytes
  }

  /** Why it is there, though it has ended and was to go; undefined when it is not. */
  get stays(): unknown {
    return this.#stays
  }

  /** @throws Error after the end; what broke the file */
  mustBeUsable(): void {
    this.mustBeOpen()
    this.#checkpoints.throwIfBroken()
  }

  mustBeOpen(): void {
    if (!this.#open) throw new Error(`${this.#growth.what} has ended`)
  }

  /**
   * Resolves when `chunk` has room in the buffer.
   * @throws StoreError full, io, also of an earlier write
   */
  async add(chunk: Uint8Array): Promise<void> {
    this.mustBeUsable()
    await this.#buffer.add(chunk)
  }

  /** Resolves when `chunk` is on disk. @throws StoreError full, io */
  async write(chunk: Uint8Array): Promise<void> {
    this.mustBeUsable()
    await this.#buffer.write(chunk)
  }

  /** Resolves when everything that was added is on disk. @throws StoreError full, io */
  async flush(): Promise<void> {
    this.mustBeOpen()
    await this.#buffer.flush()
    this.mustBeUsable()
  }

  /**
   * What was written ahead up to `endBytes` is contiguous from now on: feeds it to `step`, and
   * counts it. Stops early when the file ends.
   * @throws StoreError full, io
   */
  async takeIn(endBytes: number, step: (bytes: Uint8Array) => void): Promise<void> {
    await this.#whileOpen(async () => {
      await this.#buffer.flush()
      const { disk, what, file } = this.#growth
      const buffer = createReadBuffer(Math.min(TAKE_IN_BYTES, endBytes - this.#contiguousBytes))
      while (this.#open && this.#contiguousBytes < endBytes) {
        const wanted = buffer.subarray(0, endBytes - this.#contiguousBytes)
        const length = await orStoreError(disk, `read ${what}`, () =>
          readFully(file, wanted, this.#contiguousBytes),
        )
        if (length < wanted.length) throw new StoreError('io', `${what} is shorter than it was`)
        step(wanted)
        this.#buffer.moveOn(length)
        this.#advance(length)
      }
    })
  }

  /** Cuts off what lies ahead. @throws StoreError full, io; it is of no use then */
  async cut(): Promise<void> {
    await this.flush()
    await this.#settle()
    this.mustBeUsable()
    await this.#growth.ahead?.cut(this.#contiguousBytes)
  }

  /**
   * Feeds all that is on disk to `step`, which must not outlive this call.
   * @throws StoreError full, io
   */
  async reread(step: (file: FileHandle, lengthBytes: number) => Promise<void>): Promise<void> {
    await this.flush()
    const { disk, what, file } = this.#growth
    await orStoreError(disk, `read ${what}`, () => step(file, this.#contiguousBytes))
  }

  /**
   * Flushes and publishes it as `blob`, which its owner has verified. It is gone when that fails.
   * @throws StoreError full, io
   */
  async commit(blob: StoredBlob, contentClass: ContentClass): Promise<StoredBlob> {
    this.mustBeOpen()
    this.#open = false
    try {
      await this.#buffer.flush()
      // The disk may take long from here on.
      this.#buffer.close()
      await this.#settle()
      this.#checkpoints.throwIfBroken()
    } catch (error) {
      await this.#remove()
      throw error
    }
    const { disk, turns, file, path, record, ended } = this.#growth
    try {
      const stored = await publish(disk, turns, { ...blob, file, path, contentClass })
      ended((await isRemoved(record)) ? undefined : 0)
      return stored
    } catch (error) {
      await this.#takeAway()
      throw error
    }
  }

  /**
   * Durable and closed, for a later writer; gone when it is empty and may go then.
   * @throws StoreError io, full; it is gone then, too
   */
  async park({ evenEmpty }: { readonly evenEmpty: boolean }): Promise<void> {
    if (!this.#open) return
    this.#open = false
    // A write that failed (the disk is full) leaves a prefix that is right; only a failed sync
    // takes its worth from it.
    await this.#quiesce()
    const isWorthless = this.#contiguousBytes === 0 && !evenEmpty
    if (isWorthless || this.#checkpoints.isBroken) return await this.#remove()
    const { disk, what, file, ended } = this.#growth
    try {
      await this.#growth.ahead?.cut(this.#contiguousBytes)
      await this.#checkpoints.syncAll(this.#contiguousBytes)
      await orStoreError(disk, `close ${what}`, () => file.close())
      ended(this.#contiguousBytes)
    } catch (error) {
      await this.#remove()
      throw error
    }
  }

  /** Closed and removed. No effect when it has ended. */
  async discard(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#quiesce()
    await this.#remove()
  }

  /** @throws StoreError io */
  async openRead(): Promise<ReadHandle> {
    this.mustBeOpen()
    const { disk, what, path } = this.#growth
    // A moment later the file may have another name or none.
    return await this.#whileOpen(async () => {
      const file = await orStoreError(disk, `open ${what}`, () => openOwnFile(path))
      return growingHandle(disk, file, what)
    })
  }

  /** Whatever ends this writer waits for `step`. */
  async #whileOpen<T>(step: () => Promise<T>): Promise<T> {
    const running = step()
    const settled = running.then(
      () => {},
      () => {},
    )
    this.#beside.add(settled)
    return await running.finally(() => this.#beside.delete(settled))
  }

  async #writeNext(bytes: Uint8Array): Promise<number> {
    this.#checkpoints.throwIfBroken()
    const { disk, what, file } = this.#growth
    const written = await orStoreError(disk, `write ${what}`, () =>
      writeSome(file, bytes, this.#contiguousBytes),
    )
    this.#advance(written)
    return written
  }

  #advance(bytes: number): void {
    const { ahead, grown } = this.#growth
    this.#contiguousBytes += bytes
    this.#checkpoints.reach(this.#contiguousBytes)
    ahead?.reach(this.#contiguousBytes)
    grown?.()
  }

  async #quiesce(): Promise<void> {
    await this.#buffer.flush().catch(() => {})
    await this.#settle()
  }

  /** Waits for everything beside the writes that uses the file or its name. */
  async #settle(): Promise<void> {
    await this.#growth.ahead?.settled()
    await Promise.all(this.#beside)
    await this.#checkpoints.settled()
  }

  async #remove(): Promise<void> {
    await this.#growth.file.close().catch(() => {})
    await this.#takeAway()
  }

  /**
   * What cannot be removed is for its owner to count, and swept at the next start: without its
   * sidecar it is worth nothing.
   */
  async #takeAway(): Promise<void> {
    const { disk, what, path, record, ended } = this.#growth
    await orStoreError(disk, `remove ${what}`, () => removeFile(path)).catch((error: unknown) => {
      this.#stays = error
    })
    const leftBytes = (await isRemoved(record)) ? undefined : 0
    ended(this.#stays === undefined ? leftBytes : this.#contiguousBytes)
  }
}

/**
 * A sidecar that stays behind is swept at the next start, or taken away by the next writer, who is
 * told to look.
 */
async function isRemoved(record: GrowthRecord): Promise<boolean> {
  try {
    await record.remove()
    return true
  } catch {
    return false
  }
}
