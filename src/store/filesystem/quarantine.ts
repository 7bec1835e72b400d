// Moves content that is not what its digest says out of the way, so that it is fetched anew and the operator can look at what the disk made
// of it. Never deletes it in the same step, and never what may be the last copy of something that was pushed here.
import { lstat, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import type { FindKnown } from '../../registry/ports/blob-store.ts'
import { attempt, type Disk, removeFile } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import { blobPath, digestInQuarantine, quarantinePath } from './layout.ts'
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

  constructor(disk: Disk, turns: Turns, known: FindKnown) {
    this.#disk = disk
    this.#turns = turns
    this.#known = known
  }

  /**
   * Moves the blob's file if it is still the one that was found to be wrong: somebody may have put good content in its place
   * meanwhile. @throws StoreError io
   */
  async take(digest: Digest, identity: FileIdentity): Promise<void> {
    const disk = this.#disk
    const moved = await attempt(disk, `quarantine ${digest}`, () =>
      this.#turns.take(digest, () => moveIfSame(disk, digest, identity)),
    )
    if (!moved) return
    const { quarantine: directory, root } = disk.layout
    const comesBack = (await this.#isKept(digest))
      ? 'push the content again, or bring its file back from a backup'
      : 'the content is fetched again when it is next asked for'
    disk.note({
      kind: 'storage failed',
      failure: 'corrupt',
      reason: `${digest} no longer hashes to its digest; moved to ${directory}`,
      hint: `check the disk that holds ${root}; ${comesBack}`,
    })
    await attempt(disk, 'clear the quarantine', () => this.#clear())
  }

  /** The newest stay, within both bounds, and whatever else is the last copy of what was pushed. */
  async #clear(): Promise<void> {
    const { quarantine: directory } = this.#disk.layout
    let files = 0
    let bytes = 0
    for (const name of (await readdir(directory)).sort().reverse()) {
      const path = join(directory, name)
      const digest = digestInQuarantine(name)
      if (digest !== undefined && (await this.#isLastCopy(digest))) continue
      files += 1
      bytes += (await lstat(path)).size
      if (files > QUARANTINE_FILES || bytes > QUARANTINE_BYTES) await removeFile(path)
    }
  }

  /** Every file of it is, while there is none that is better: which of them can be mended is for the operator to see. */
  async #isLastCopy(digest: Digest): Promise<boolean> {
    if (!(await this.#isKept(digest))) return false
    return (await findBlob(this.#disk.layout, digest)) === undefined
  }

  /** As long as nobody can tell, yes. */
  async #isKept(digest: Digest): Promise<boolean> {
    try {
      return (await this.#known(digest))?.contentClass === 'kept'
    } catch {
      return true
    }
  }
}

async function moveIfSame(disk: Disk, digest: Digest, identity: FileIdentity): Promise<boolean> {
  const path = blobPath(disk.layout, digest)
  try {
    const { dev, ino } = await lstat(path)
    if (dev !== identity.dev || ino !== identity.ino) return false
    await rename(path, quarantinePath(disk.layout, digest, disk.clock.nowMs()))
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
