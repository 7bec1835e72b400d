// Moves content that is not what its digest says out of the way, so that it is fetched anew and the operator can look at what the disk made
// of it. What is too long for that is removed, which the log says; never what may be the last copy of something that was pushed here.
import { lstat, readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import type { FindKnown } from '../../registry/ports/blob-store.ts'
import { attempt, type Disk, removeFile } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import { blobPath, parseQuarantineName, quarantinePath } from './layout.ts'
import { findBlob } from './list-blobs.ts'
import type { FileIdentity } from './read-handle.ts'
import type { Turns } from './turns.ts'

/** Enough to see a pattern; a disk that rots faster than that must not be filled with evidence. The oldest go first. */
const QUARANTINE_FILES = 100
/** Of all that may go. A tenth of a small cache, and more than anybody will look through. */
export const QUARANTINE_BYTES = 1024 * 1024 * 1024

export class Quarantine {
  readonly #disk: Disk
  readonly #turns: Turns
  readonly #known: FindKnown
  readonly #isKnowing: () => boolean

  /** `isKnowing`: whether `known` knows all that it will; not while a catalog is being built. */
  constructor(
    disk: Disk,
    turns: Turns,
    { known, isKnowing }: { readonly known: FindKnown; readonly isKnowing: () => boolean },
  ) {
    this.#disk = disk
    this.#turns = turns
    this.#known = known
    this.#isKnowing = isKnowing
  }

  /**
   * Moves the blob's file if it is still the one that was found to be wrong: somebody may have put good content in its place
   * meanwhile. @throws StoreError io
   */
  async take(digest: Digest, identity: FileIdentity): Promise<void> {
    const disk = this.#disk
    const isKept = await this.#isKept(digest)
    const moved = await attempt(disk, `quarantine ${digest}`, () =>
      this.#turns.take(digest, () => moveIfSame(disk, digest, { identity, isKept })),
    )
    if (moved === undefined) return
    let isRemoved = false
    try {
      isRemoved = await attempt(disk, 'clear the quarantine', () => this.#clear(moved))
    } finally {
      this.#tell(digest, { isRemoved, isKept })
    }
  }

  #tell(digest: Digest, { isRemoved, isKept }: { isRemoved: boolean; isKept: boolean }): void {
    const disk = this.#disk
    const { quarantine: directory, root } = disk.layout
    const went = isRemoved ? `removed: longer than ${directory} may hold` : `moved to ${directory}`
    const comesBack = isKept
      ? 'push the content again, or bring its file back from a backup'
      : 'the content is fetched again when it is next asked for'
    disk.note({
      kind: 'storage failed',
      failure: 'corrupt',
      reason: `${digest} no longer hashes to its digest; ${went}`,
      hint: `check the disk that holds ${root}; ${comesBack}`,
    })
  }

  /**
   * The newest stay, within both bounds, and whatever else is the last copy of what was pushed. `moved` came last, whatever the clock said
   * before; true when it went.
   */
  async #clear(moved: string): Promise<boolean> {
    const { quarantine: directory } = this.#disk.layout
    const isRemoved = !(await this.#hasRoom(moved))
    if (isRemoved) await removeFile(join(directory, moved))
    const others = (await readdir(directory)).filter(name => name !== moved).sort()
    let files = 0
    let bytes = 0
    for (const name of [...(isRemoved ? [] : [moved]), ...others.reverse()]) {
      const path = join(directory, name)
      if (await this.#mustStay(name)) continue
      files += 1
      bytes += (await lstat(path)).size
      if (files > QUARANTINE_FILES || bytes > QUARANTINE_BYTES) await removeFile(path)
    }
    return isRemoved
  }

  /** Alone it may take all that there is. */
  async #hasRoom(name: string): Promise<boolean> {
    const { size } = await lstat(join(this.#disk.layout.quarantine, name))
    return size <= QUARANTINE_BYTES || (await this.#mustStay(name))
  }

  async #mustStay(name: string): Promise<boolean> {
    const parsed = parseQuarantineName(name)
    return parsed !== undefined && (await this.#isLastCopy(parsed))
  }

  /** Every file of it is, while there is none that is better: which of them can be mended is for the operator to see. */
  async #isLastCopy({ digest, isKept }: { digest: Digest; isKept: boolean }): Promise<boolean> {
    // The catalog may be another one than when it was moved, and has no row for a blob that was not here when it was built.
    if (!isKept && !(await this.#isKept(digest))) return false
    return (await findBlob(this.#disk.layout, digest)) === undefined
  }

  /** As long as nobody can tell, yes. */
  async #isKept(digest: Digest): Promise<boolean> {
    if (!this.#isKnowing()) return true
    try {
      return (await this.#known(digest))?.contentClass === 'kept'
    } catch {
      return true
    }
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
    const { dev, ino } = await lstat(path)
    if (dev !== identity.dev || ino !== identity.ino) return undefined
    const to = quarantinePath(disk.layout, digest, { atMs: disk.clock.nowMs(), isKept })
    await rename(path, to)
    return basename(to)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
