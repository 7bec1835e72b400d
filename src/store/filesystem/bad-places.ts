// Files that are there and that the disk cannot give back: a bad place, or a checksum of the file
// system that does not hold. To everybody else they are not here, so that they are fetched or
// pushed again; the operator is told, once for each.
import type { Digest } from '../../oci/digest.ts'
import type { ReadHandle } from '../../registry/ports/blob-store-content.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import type { Disk } from './disk.ts'
import { causeOf, diskError, errnoOf, isUnreadable } from './disk-error.ts'
import type { Quarantine } from './quarantine.ts'
import { type FileIdentity, type OpenedFile, readHandle } from './read-handle.ts'

/** Remembered as told; a disk with more bad places than that is told of again. */
const TOLD_MAX = 1_000

export class BadPlaces {
  readonly #disk: Disk
  readonly #quarantine: Quarantine
  readonly #told = new Set<string>()

  constructor(disk: Disk, quarantine: Quarantine) {
    this.#disk = disk
    this.#quarantine = quarantine
  }

  /** What `look` finds under this digest; undefined where the disk cannot say. */
  async orNone<Found>(digest: Digest, look: () => Promise<Found>): Promise<Found | undefined> {
    try {
      return await look()
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.tell(digest, error)
      return undefined
    }
  }

  /** All of an open file, by `read`; undefined where the disk cannot give it. */
  async wholeOrNone<Read>(
    digest: Digest,
    { identity }: OpenedFile,
    read: () => Promise<Read>,
  ): Promise<Read | undefined> {
    try {
      return await this.#read(digest, identity, read)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      return undefined
    }
  }

  /** Whoever reads what the disk cannot give is told by a StoreError, and the next finds none. */
  handle(digest: Digest, { file, identity }: OpenedFile): ReadHandle {
    const handle = readHandle(this.#disk, file, digest)
    return {
      // Once it is closed, none.
      get descriptor() {
        return handle.descriptor
      },
      read: (buffer, position) => this.#read(digest, identity, () => handle.read(buffer, position)),
      close: () => handle.close(),
    }
  }

  /** `what`: a digest, or the name of what cannot be looked at. */
  tell(what: string, error: unknown): void {
    if (this.#told.has(what)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(what)
    tellUnreadable(this.#disk, what, error)
  }

  /**
   * A second time before the file goes out of the way: what a moment brought about is no bad place.
   */
  async #read<Read>(
    digest: Digest,
    identity: FileIdentity,
    read: () => Promise<Read>,
  ): Promise<Read> {
    try {
      return await read()
    } catch (error) {
      if (!isUnreadable(error)) throw error
    }
    try {
      return await read()
    } catch (error) {
      if (isUnreadable(error)) await this.#putAway(digest, identity, error)
      throw error
    }
  }

  /** There it keeps its place on the disk, which nothing else is written to. */
  async #putAway(digest: Digest, identity: FileIdentity, error: unknown): Promise<void> {
    try {
      await this.#quarantine.take(digest, identity, `cannot be read (${errnoOf(causeOf(error))})`)
    } catch {
      // The file system may have become read-only for the same reason.
      this.tell(digest, error)
    }
  }
}

export function tellUnreadable({ note, layout }: Disk, what: string, error: unknown): void {
  const cause = causeOf(error)
  const known = diskError(cause, { doing: 'read it', root: layout.root })
  const hint = known instanceof StoreError ? known.hint : undefined
  const reason = `${what} cannot be read (${errnoOf(cause) ?? String(cause)})`
  note({ kind: 'storage failed', failure: 'io', reason, hint })
}
