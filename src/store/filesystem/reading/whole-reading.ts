// Content that is read whole to see whether it is what its digest says: a manifest at each read,
// and everything when it is its turn to be verified. What is wrong goes out of the way.
import { chmod, type FileHandle, lstat } from 'node:fs/promises'
import { type Digest, digestAlgorithm } from '../../../oci/digest.ts'
import type { Reread, Rereader, Rereading } from '../../../registry/ports/blob-store-content.ts'
import type { BadPlaces } from '../bad-places.ts'
import { type Disk, orStoreError } from '../disk.ts'
import { causeOf, errnoOf, isUnreadable } from '../disk-error.ts'
import { readIfRight } from '../hash-file.ts'
import { WHOLE_MODE, blobPath } from '../layout.ts'
import type { Quarantine } from '../quarantine.ts'
import { type FileIdentity, type OpenedFile, openRegularFile } from '../read-handle.ts'
import { HashApart } from './hash-apart.ts'

/** The owner may read it. */
const READABLE = 0o400
/** Whoever owns a file may always change its mode, and so its mode is mended first. */
const FORBIDDEN = new Set(['EACCES', 'EPERM'])

export interface WholeReadingParts {
  readonly disk: Disk
  readonly quarantine: Quarantine
  readonly bad: BadPlaces
  /** As HashApart has it. */
  readonly addon: string | undefined
}

interface RereadingApart extends Rereading {
  readonly apart: HashApart
  /** And not from memory. */
  readonly fromDisk: boolean
}

interface ReadOnce extends Reread {
  /** Which it was that was read. */
  readonly file?: FileIdentity
}

export class WholeReading {
  readonly #parts: WholeReadingParts

  constructor(parts: WholeReadingParts) {
    this.#parts = parts
  }

  /** As WholeBlobs.readVerified. @throws StoreError io */
  async readVerified(digest: Digest): Promise<Uint8Array | undefined> {
    const { disk, quarantine, bad } = this.#parts
    const opened = await orStoreError(disk, `open ${digest}`, () =>
      disk.unreadable.orNone(digest, () => openRegularFile(blobPath(disk.layout, digest))),
    )
    if (opened === undefined) return undefined
    try {
      const read = await orStoreError(disk, `read ${digest}`, () =>
        bad.wholeOrNone(digest, opened, () => readIfRight(opened, digest)),
      )
      if (read !== undefined && read.bytes === undefined)
        await quarantine.take(digest, opened.identity)
      return read?.bytes
    } finally {
      await opened.file.close()
    }
  }

  /** As WholeBlobs.openRereader. */
  openRereader(): Rereader {
    const apart = new HashApart(this.#parts.addon)
    return {
      reread: (digest, how) => this.#reread(digest, { ...how, apart, fromDisk: false }),
      close: () => apart.end(),
    }
  }

  async #reread(digest: Digest, how: RereadingApart): Promise<Reread> {
    const { disk, quarantine } = this.#parts
    return await orStoreError(disk, `read ${digest}`, async () => {
      const first = await this.#readOnce(digest, how)
      if (first.found !== 'wrong') return told(first)
      // What is in memory may have been what was wrong.
      const second = await this.#readOnce(digest, { ...how, fromDisk: true })
      if (second.found === 'wrong' && second.file !== undefined && !how.dryRun)
        await quarantine.take(digest, second.file)
      return told(second)
    })
  }

  /** By a handle of its own. */
  async #readOnce(digest: Digest, how: RereadingApart): Promise<ReadOnce> {
    const { bad } = this.#parts
    const opening = await this.#open(digest, how)
    if (typeof opening === 'string') return { found: opening, isMended: false }
    const { opened, isMended } = opening
    try {
      const isRight = await bad.wholeOrNone(digest, opened, () => isRightFile(opened, digest, how))
      if (!how.dryRun) bad.noteReread(digest, opened.identity, isRight !== undefined)
      if (isRight === undefined) return { found: 'unreadable', isMended }
      return { found: isRight ? 'right' : 'wrong', isMended, file: opened.identity }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      if (!how.dryRun) bad.noteReread(digest, opened.identity, false)
      return { found: 'unreadable', isMended }
    } finally {
      await opened.file.close()
    }
  }

  async #open(
    digest: Digest,
    { dryRun }: Rereading,
  ): Promise<{ opened: OpenedFile; isMended: boolean } | 'none' | 'unreadable'> {
    const { disk } = this.#parts
    const path = blobPath(disk.layout, digest)
    try {
      const opened = await openRegularFile(path)
      if (opened === undefined) return 'none'
      const isMended = !dryRun && (await mendMode(opened.file))
      return { opened, isMended }
    } catch (error) {
      if (FORBIDDEN.has(errnoOf(error) ?? '')) return await this.#openForbidden(digest, dryRun)
      if (!isUnreadable(error)) throw error
      disk.unreadable.tell(digest, error)
      return 'unreadable'
    }
  }

  /** What this process may not read goes out of the way, unless its mode can be mended. */
  async #openForbidden(
    digest: Digest,
    dryRun: boolean,
  ): Promise<{ opened: OpenedFile; isMended: boolean } | 'none' | 'unreadable'> {
    const { disk, quarantine } = this.#parts
    if (dryRun) return 'unreadable'
    const path = blobPath(disk.layout, digest)
    const stats = await lstat(path)
    if (!stats.isFile()) return 'none'
    try {
      await chmod(path, WHOLE_MODE)
      const opened = await openRegularFile(path)
      return opened === undefined ? 'none' : { opened, isMended: true }
    } catch (error) {
      if (!FORBIDDEN.has(errnoOf(error) ?? '')) throw error
      await quarantine.take(digest, stats, `cannot be read (${errnoOf(causeOf(error))})`)
      return 'unreadable'
    }
  }
}

/** False where there was nothing to mend. */
async function mendMode(file: FileHandle): Promise<boolean> {
  const { mode } = await file.stat()
  if ((mode & READABLE) !== 0) return false
  await file.chmod(WHOLE_MODE)
  return true
}

async function isRightFile(
  { file, sizeBytes }: OpenedFile,
  digest: Digest,
  { apart, fromDisk, between }: RereadingApart,
): Promise<boolean> {
  const algorithm = digestAlgorithm(digest)
  const hashed = { descriptor: file.fd, sizeBytes, algorithm, fromDisk, between }
  return (await apart.digestOf(hashed)) === digest
}

function told({ found, isMended }: ReadOnce): Reread {
  return { found, isMended }
}
