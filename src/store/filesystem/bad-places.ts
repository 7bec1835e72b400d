// Files that are there and that the disk cannot give back: a bad place, or a checksum of the file
// system that does not hold. What can be fetched again is moved away, and fetched. What was pushed
// stays where it is, since the disk may have failed for a moment alone, and so does what is too
// much to be of bad places; for a while that is not here for those who would push it. The operator
// is told, once for each.
import { lstat } from 'node:fs/promises'
import { type BoundedCache, boundedCache } from '../../async/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import type { ReadHandle } from '../../registry/ports/blob-store-content.ts'
import type { Disk } from './disk.ts'
import { isUnreadable, whyUnread } from './disk-error.ts'
import { blobPath } from './layout.ts'
import type { Quarantine } from './quarantine.ts'
import { type FileIdentity, isSameFile, type OpenedFile, readHandle } from './read-handle.ts'

/** Remembered as failing; of a disk with more bad places the earliest ones are asked again. */
const FAILING_MAX = 1_000
/** So long what stays is not here after a read of it failed: time to push it again. */
const FAILING_MS = 60_000
/**
 * Files that are moved away in a minute: where more fail, it is the disk that does, and not their
 * places on it, and what is here is worth more than what a bad place costs.
 */
const MOVED_MAX = 8
const MOVED_WITHIN_MS = 60_000

export class BadPlaces {
  readonly #disk: Disk
  readonly #quarantine: Quarantine
  readonly #failing: BoundedCache<FileIdentity, Digest>
  /** Found so by who reads everything, until that finds otherwise. */
  readonly #broken: BoundedCache<FileIdentity, Digest> = boundedCache(FAILING_MAX)
  /** When the last ones were moved away, on the monotonic clock. */
  #movedAtMs: readonly number[] = []

  constructor(disk: Disk, quarantine: Quarantine) {
    this.#disk = disk
    this.#quarantine = quarantine
    const nowMs = () => disk.clock.monotonicMs()
    this.#failing = boundedCache(FAILING_MAX, { ttlMs: FAILING_MS, nowMs })
  }

  /** Lies where it was, and cannot be read for now? New bytes in its place can. */
  async isFailing(digest: Digest): Promise<boolean> {
    const identity = this.#failing.get(digest) ?? this.#broken.get(digest)
    if (identity === undefined) return false
    const stats = await lstat(blobPath(this.#disk.layout, digest)).catch(() => undefined)
    if (stats !== undefined && isSameFile(stats, identity)) return true
    this.#failing.delete(digest)
    this.#broken.delete(digest)
    return false
  }

  /** All of it was read, or could not be. */
  noteReread(digest: Digest, identity: FileIdentity, isReadable: boolean): void {
    if (!isReadable) this.#broken.set(digest, identity)
    else if (this.#broken.delete(digest)) this.#failing.delete(digest)
  }

  /**
   * All of an open file, by `read`; undefined where the disk cannot give it, and it can be fetched
   * again, or nobody can tell.
   * @throws StoreError io of what was pushed
   */
  async wholeOrNone<Read>(
    digest: Digest,
    { identity }: OpenedFile,
    read: () => Promise<Read>,
  ): Promise<Read | undefined> {
    try {
      return await this.#read(digest, identity, read)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      const { isKnowing } = this.#quarantine
      if (isKnowing && (await this.#quarantine.isKept(digest))) throw error
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

  /**
   * A second time before the file goes out of the way.
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
      if (isUnreadable(error)) await this.putAway(digest, identity, error)
      throw error
    }
  }

  /**
   * As Quarantine.takePart. @throws the error that was met where it cannot be moved, or where so
   * much was moved that it is the disk: then the part stays for when that can be read again
   */
  async takePart(digest: Digest, error: unknown): Promise<void> {
    if (!this.#mayMoveNow()) throw error
    await this.#quarantine.takePart(digest, error)
  }

  /**
   * Counted here, before anything is awaited: of reads that fail together no more than that many
   * may move their files. One that is then left where it is has been counted, too.
   */
  #mayMoveNow(): boolean {
    const nowMs = this.#disk.clock.monotonicMs()
    this.#movedAtMs = this.#movedAtMs.filter(atMs => nowMs - atMs < MOVED_WITHIN_MS)
    if (this.#movedAtMs.length >= MOVED_MAX) return false
    this.#movedAtMs = [...this.#movedAtMs, nowMs]
    return true
  }

  /**
   * Of what could not be read. In the quarantine it keeps its place on the disk, which nothing else
   * is written to; what has to stay is not here for a while.
   */
  async putAway(digest: Digest, identity: FileIdentity, error: unknown): Promise<void> {
    if (!this.#mayMoveNow() || !(await this.#quarantine.isCached(digest))) {
      this.#leave(digest, identity, error)
      return
    }
    try {
      await this.#quarantine.take(digest, identity, `cannot be read (${whyUnread(error)})`)
    } catch {
      // The file system may have become read-only for the same reason.
      this.#leave(digest, identity, error)
    }
  }

  /** Whatever it is: who pushes something over it must not be told that it is here. */
  #leave(digest: Digest, identity: FileIdentity, error: unknown): void {
    this.#failing.set(digest, identity)
    this.#disk.unreadable.tell(digest, error)
  }
}
