// Moves content that is not what its digest says out of the way, so that it is fetched anew and the
// operator can look at what the disk made of it. What is too long for that is removed, which the
// log says; never what may be the last copy of something that was pushed here, as long as a
// repository has it.
import { lstat, readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import type { FindKnown, IsForgone } from '../../registry/ports/blob-store-content.ts'
import { type Disk, orStoreError, removeFile } from './disk.ts'
import { causeOf, errnoOf, ignoreMissingOrBad } from './disk-error.ts'
import { blobPath, parseQuarantineName, partPath, quarantinePath } from './layout.ts'
import { findBlob } from './list-blobs.ts'
import { type FileIdentity, isSameFile } from './read-handle.ts'
import type { Turns } from '../../async/turns.ts'

/**
 * Enough to see a pattern; a disk that rots faster than that must not be filled with evidence. The
 * oldest go first.
 */
const QUARANTINE_FILES = 100
/** In the place of a digest, for the turn in which the directory is looked through. */
const CLEARING = 'quarantine'
/** Of all that may go. A tenth of a small cache, and more than anybody will look through. */
export const QUARANTINE_BYTES = 1024 * 1024 * 1024

export interface Knowledge {
  readonly known: FindKnown
  readonly isForgone: IsForgone
  /** Whether those know all that they will; not while a catalog is being built. */
  readonly isKnowing: () => boolean
  /** Not while something that was pushed is lost, of which any content may be. */
  readonly isAllFound: () => boolean
}

export class Quarantine {
  readonly #disk: Disk
  readonly #turns: Turns
  readonly #knowledge: Knowledge
  #bytes = 0

  constructor(disk: Disk, turns: Turns, knowledge: Knowledge) {
    this.#disk = disk
    this.#turns = turns
    this.#knowledge = knowledge
  }

  /** Whether it is known whose content is; not while a catalog is being built. */
  get isKnowing(): boolean {
    return this.#knowledge.isKnowing()
  }

  /** All that lies there, as it was when it was last cleared. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Moves the blob's file if it is still the one that was found to be wrong: somebody may have put
   * good content in its place meanwhile. `unreadable` says that the disk failed, and how.
   * @throws StoreError io
   */
  async take(digest: Digest, identity: FileIdentity, unreadable?: string): Promise<void> {
    const disk = this.#disk
    const isKept = await this.isKept(digest)
    const moved = await orStoreError(disk, `quarantine ${digest}`, () =>
      this.#turns.take(digest, () => moveIfSame(disk, digest, { identity, isKept })),
    )
    if (moved === undefined) return
    let isRemoved = false
    try {
      isRemoved = await this.clear(moved)
    } finally {
      this.#tell(digest, { isRemoved, isKept, unreadable })
    }
  }

  /**
   * The same for the beginning of a blob, which the disk cannot read: in here it keeps its place on
   * the disk, and the blob is fetched anew. For whoever may open it.
   * @throws the error that was met where it cannot be moved
   */
  async takePart(digest: Digest, error: unknown): Promise<void> {
    const { layout, clock } = this.#disk
    const to = quarantinePath(layout, digest, { atMs: clock.nowMs(), isKept: false })
    await rename(partPath(layout, digest), to).catch(() => {
      throw error
    })
    const unreadable = `cannot be read (${errnoOf(causeOf(error))})`
    const isRemoved = await this.clear(basename(to)).catch(() => false)
    this.#tell(`the part of ${digest}`, { isRemoved, isKept: false, unreadable })
  }

  #tell(
    what: string,
    {
      isRemoved,
      isKept,
      unreadable,
    }: { isRemoved: boolean; isKept: boolean; unreadable: string | undefined },
  ): void {
    const disk = this.#disk
    const { quarantine: directory, root } = disk.layout
    const went = isRemoved ? `removed: longer than ${directory} may hold` : `moved to ${directory}`
    const comesBack = isKept
      ? 'push the content again, import its bundle again, or bring its file back from a backup'
      : 'the content is fetched again when it is next asked for'
    disk.note({
      kind: 'storage failed',
      failure: unreadable === undefined ? 'corrupt' : 'io',
      reason: `${what} ${unreadable ?? 'no longer hashes to its digest'}; ${went}`,
      hint: `check the disk that holds ${root}; ${comesBack}`,
    })
  }

  /**
   * The newest stay, within both bounds, and whatever else is the last copy of what was pushed.
   * `moved` came last, whatever the clock said before; true when it went.
   * @throws StoreError io
   */
  async clear(moved?: string): Promise<boolean> {
    return await orStoreError(this.#disk, 'clear the quarantine', () =>
      this.#turns.take(CLEARING, () => this.#clear(moved)),
    )
  }

  async #clear(moved: string | undefined): Promise<boolean> {
    const { quarantine: directory } = this.#disk.layout
    const isRemoved = moved !== undefined && !(await this.#hasRoom(moved))
    if (isRemoved) await removeFile(join(directory, moved))
    const others = (await readdir(directory)).filter(name => name !== moved).sort()
    const bound = new Bound()
    let leftBytes = 0
    for (const name of [
      ...(isRemoved || moved === undefined ? [] : [moved]),
      ...others.reverse(),
    ]) {
      const path = join(directory, name)
      // The operator may have taken it away.
      const stats = await lstat(path).catch(ignoreMissingOrBad)
      if (!stats) continue
      const { size } = stats
      if ((await this.#mustStay(name)) || bound.holds(size)) leftBytes += size
      else await removeFile(path)
    }
    this.#bytes = leftBytes
    return isRemoved
  }

  /** Alone it may take all that there is. */
  async #hasRoom(name: string): Promise<boolean> {
    const stats = await lstat(join(this.#disk.layout.quarantine, name)).catch(ignoreMissingOrBad)
    return !stats || stats.size <= QUARANTINE_BYTES || (await this.#mustStay(name))
  }

  /**
   * Every file of it must, while there is none that is better: which of them can be mended is for
   * the operator to see.
   */
  async #mustStay(name: string): Promise<boolean> {
    const parsed = parseQuarantineName(name)
    if (parsed === undefined) return false
    const { digest, isKept } = parsed
    // The catalog may be another one than when it was moved, and has no row for a blob that was not
    // here when it was built.
    if (isKept ? await this.#isForgone(digest) : !(await this.isKept(digest))) return false
    return (await findBlob(this.#disk.layout, digest).catch(ignoreMissingOrBad)) === undefined
  }

  /** Can its bytes be had again, as far as anybody knows? */
  async isCached(digest: Digest): Promise<boolean> {
    const { known, isKnowing, isAllFound } = this.#knowledge
    if (!isKnowing() || !isAllFound()) return false
    return (await known(digest).catch(() => undefined))?.contentClass === 'cached'
  }

  /** Perhaps the last copy of what was pushed: as long as nobody can tell, yes. */
  async isKept(digest: Digest): Promise<boolean> {
    const { known, isKnowing } = this.#knowledge
    if (!isKnowing()) return true
    try {
      return (await known(digest))?.contentClass === 'kept' && !(await this.#isForgone(digest))
    } catch {
      return true
    }
  }

  /** As long as nobody can tell, no. */
  async #isForgone(digest: Digest): Promise<boolean> {
    const { isForgone, isKnowing } = this.#knowledge
    return isKnowing() && (await isForgone(digest).catch(() => false))
  }
}

/** Of all that may go, as it is looked at, the newest first. */
class Bound {
  #files = 0
  #bytes = 0

  /** What is too long by itself takes nothing with it. */
  holds(bytes: number): boolean {
    if (bytes > QUARANTINE_BYTES) return false
    this.#files += 1
    this.#bytes += bytes
    return this.#files <= QUARANTINE_FILES && this.#bytes <= QUARANTINE_BYTES
  }
}

/** The name that it has in the quarantine; undefined when it was another one. */
async function moveIfSame(
  disk: Disk,
  digest: Digest,
  { identity, isKept }: { identity: FileIdentity; isKept: boolean },
): Promise<string | undefined> {
  const path = blobPath(disk.layout, digest)
  try {
    if (!isSameFile(await lstat(path), identity)) return undefined
    const to = quarantinePath(disk.layout, digest, { atMs: disk.clock.nowMs(), isKept })
    await rename(path, to)
    return basename(to)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
