// Content that is read whole to see whether it is what its digest says: a manifest at each read,
// and everything when it is its turn to be verified. What is wrong goes out of the way.
import { chmod, type FileHandle, lstat } from 'node:fs/promises'
import { type Digest, digestAlgorithm } from '../../../oci/digest.ts'
import type { Reread, Rereader, Rereading } from '../../../registry/ports/blob-store-content.ts'
import type { BadPlaces } from '../bad-places.ts'
import { type Disk, orStoreError } from '../disk.ts'
import { errnoOf, isUnreadable } from '../disk-error.ts'
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
  /** What its bytes are. */
  readonly hashed?: Digest
}

type Opening = { readonly opened: OpenedFile; readonly isMended: boolean } | 'none' | 'unreadable'

/** Instead of the system's error. */
const UNSTEADY = 'it gives other bytes each time'

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
      if (second.found !== 'wrong' || second.file === undefined) return told(second)
      if (second.hashed !== first.hashed) return await this.#unsteady(digest, second.file, how)
      if (!how.dryRun) await quarantine.take(digest, second.file)
      return told(second)
    })
  }

  /** Bytes that are others each time do not lie there: they are changed on their way. */
  async #unsteady(digest: Digest, file: FileIdentity, { dryRun }: Rereading): Promise<Reread> {
    const { bad } = this.#parts
    if (!dryRun) {
      bad.noteReread(digest, file, false)
      await bad.putAway(digest, file, UNSTEADY)
    }
    return { found: 'unreadable', isMended: false }
  }

  /** By a handle of its own. */
  async #readOnce(digest: Digest, how: RereadingApart): Promise<ReadOnce> {
    const { bad } = this.#parts
    const opening = await this.#open(digest, how)
    if (typeof opening === 'string') return { found: opening, isMended: false }
    const { opened, isMended } = opening
    try {
      const hashed = await bad.wholeOrNone(digest, opened, () => hashFile(opened, digest, how))
      if (!how.dryRun) bad.noteReread(digest, opened.identity, hashed !== undefined)
      if (hashed === undefined) return { found: 'unreadable', isMended }
      const found = hashed === digest ? 'right' : 'wrong'
      return { found, isMended, hashed, file: opened.identity }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      if (!how.dryRun) bad.noteReread(digest, opened.identity, false)
      return { found: 'unreadable', isMended }
    } finally {
      await opened.file.close()
    }
  }

  async #open(digest: Digest, { dryRun }: Rereading): Promise<Opening> {
    const { disk } = this.#parts
    const path = blobPath(disk.layout, digest)
    try {
      const opened = await openRegularFile(path)
      if (opened === undefined) return 'none'
      const isMended = !dryRun && (await mendMode(opened.file))
      return { opened, isMended }
    } catch (error) {
      if (isForbidden(error)) return await this.#openForbidden(digest, error, dryRun)
      if (!isUnreadable(error)) throw error
      disk.unreadable.tell(digest, error)
      return 'unreadable'
    }
  }

  /** What this process may not read is as what the disk cannot, unless its mode can be mended. */
  async #openForbidden(digest: Digest, error: unknown, dryRun: boolean): Promise<Opening> {
    const { disk, bad } = this.#parts
    const path = blobPath(disk.layout, digest)
    if (dryRun) return 'unreadable'
    try {
      const stats = await lstat(path)
      if (!stats.isFile()) return 'none'
      const opened = await openMended(path)
      if (opened !== 'forbidden') return opened === undefined ? 'none' : { opened, isMended: true }
      bad.noteReread(digest, stats, false)
      await bad.putAway(digest, stats, error)
      return 'unreadable'
    } catch (caught) {
      // Its directory may not be looked into either.
      if (!isForbidden(caught)) throw caught
      disk.unreadable.tell(digest, caught)
      return 'unreadable'
    }
  }
}

async function openMended(path: string): Promise<OpenedFile | 'forbidden' | undefined> {
  try {
    await chmod(path, WHOLE_MODE)
    return await openRegularFile(path)
  } catch (error) {
    if (isForbidden(error)) return 'forbidden'
    throw error
  }
}

function isForbidden(error: unknown): boolean {
  return FORBIDDEN.has(errnoOf(error) ?? '')
}

/** False where there was nothing to mend. */
async function mendMode(file: FileHandle): Promise<boolean> {
  const { mode } = await file.stat()
  if ((mode & READABLE) !== 0) return false
  await file.chmod(WHOLE_MODE)
  return true
}

function hashFile(
  { file, sizeBytes }: OpenedFile,
  digest: Digest,
  { apart, fromDisk, between }: RereadingApart,
): Promise<Digest> {
  const algorithm = digestAlgorithm(digest)
  return apart.digestOf({ descriptor: file.fd, sizeBytes, algorithm, fromDisk, between })
}

function told({ found, isMended }: ReadOnce): Reread {
  return { found, isMended }
}
