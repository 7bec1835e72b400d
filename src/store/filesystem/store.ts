// BlobStore and FactStore on one local file system; docs/storage-format.md says what lies where and
// in which order it is written. Puts the pieces of this folder together and knows which fills are
// open.
import { open } from 'node:fs/promises'
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestOf } from '../../oci/digest.ts'
import type { BlobStore } from '../../registry/ports/blob-store.ts'
import type {
  ContentClass,
  FindKnown,
  IsForgone,
  Looked,
  PassedOver,
  ReadHandle,
  Rereader,
  StoredBlob,
} from '../../registry/ports/blob-store-content.ts'
import type { FillFile, LeftPart } from '../../registry/ports/blob-store-fills.ts'
import type { LeftUpload, UploadFile } from '../../registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent } from '../../registry/ports/events.ts'
import type { FactStore } from '../../registry/ports/facts.ts'
import { BadPlaces } from './bad-places.ts'
import { type Disk, orStoreError, removeFile, writeFully } from './disk.ts'
import { diskError } from './disk-error.ts'
import { LengthCheck } from './length-check.ts'
import { FilesystemFacts } from './facts.ts'
import { FilesystemFill } from './growing/fill-file.ts'
import { BlobKeeper } from './keep-blob.ts'
import { blobPath, layoutUnder, temporaryPath, WRITING_MODE } from './layout.ts'
import { listBlobs } from './list-blobs.ts'
import { openPart } from './growing/open-fill.ts'
import { OtherFiles } from './other-files.ts'
import { prepareDirectories, prepareRoot } from './prepare.ts'
import { Prefixes } from './prefixes.ts'
import { publish } from './growing/publish.ts'
import { type Knowledge, Quarantine } from './quarantine.ts'
import { lookAtSpace } from './space-of.ts'
import { LeftParts, PARTS_MAX } from './growing/parts.ts'
import { sweep } from './sweep.ts'
import { SyncTurns } from './sync-turns.ts'
import { Turns } from '../../async/turns.ts'
import { Unreadable } from './unreadable.ts'
import { FilesystemUploads } from './growing/uploads.ts'
import { WholeReading } from './reading/whole-reading.ts'

export interface FilesystemStoreOptions {
  /**
   * `storage.rootdirectory`; made when it is not there. Only one process may use it: the caller
   * holds the lock.
   */
  readonly directory: string
  readonly note: NoteEvent
  /** Of this boot of the machine, from `/proc/sys/kernel/random/boot_id`. */
  readonly bootId: string
  readonly clock: Clock
  readonly known: FindKnown
  /** Default: nothing is. */
  readonly isForgone?: IsForgone
  /** False while the catalog is built, which has no rows yet for what was pushed. Default: true. */
  readonly isKnowing?: () => boolean
  /** False while something that was pushed is lost: content may be of it. Default: nothing is. */
  readonly isAllFound?: () => boolean
  /** The identity of the catalog that is told what facts say. */
  readonly catalog: string
  /** Of FactsOptions. Default: there is none. */
  readonly giveRoom?: () => Promise<boolean>
  /** Most parts that no fill has open. Default PARTS_MAX. */
  readonly partsMax?: number
  /** The file of the native addon. Default: there is none, which costs what is in memory. */
  readonly addon?: string | undefined
}

/** What one data directory holds beside the catalog. */
export interface FilesystemStores {
  readonly blobs: BlobStore
  readonly facts: FactStore
}

/** Prepares the directory and sweeps what an earlier process left. @throws StoreError io, full */
export async function openFilesystemStore(
  options: FilesystemStoreOptions,
): Promise<FilesystemStores> {
  const { isKnowing = () => true, isAllFound = () => true, ...others } = options
  const { directory, known, isForgone = async () => false, ...further } = others
  const { catalog, giveRoom = async () => false, partsMax = PARTS_MAX, addon, ...rest } = further
  try {
    const layout = layoutUnder(await prepareRoot(directory))
    const prefixes = new Prefixes(layout)
    const unreadable = new Unreadable({ note: rest.note, layout })
    const disk: Disk = { ...rest, layout, prefixes, syncTurns: new SyncTurns(), unreadable }
    await prepareDirectories(layout, prefixes)
    await sweep(disk)
    const knowledge = { known, isForgone, isKnowing, isAllFound }
    const facts = new FilesystemFacts(disk, { catalog, giveRoom })
    const otherFiles = new OtherFiles(disk, facts)
    const blobs = new FilesystemStore(disk, otherFiles, { partsMax, addon, ...knowledge })
    await blobs.loadParts()
    await blobs.clearQuarantine()
    await otherFiles.measureSmall()
    return { blobs, facts }
  } catch (error) {
    throw diskError(error, { doing: `prepare ${directory}`, root: directory })
  }
}

class FilesystemStore implements BlobStore {
  readonly #disk: Disk
  readonly #turns = new Turns()
  readonly #fills = new Set<Digest>()
  /** Also those that are being opened. */
  readonly #left: LeftParts
  readonly #uploads: FilesystemUploads
  readonly #keeper: BlobKeeper
  readonly #quarantine: Quarantine
  readonly #lengthCheck: LengthCheck
  readonly #bad: BadPlaces
  readonly #whole: WholeReading
  readonly #others: OtherFiles
  readonly space: BlobStore['space']

  constructor(
    disk: Disk,
    others: OtherFiles,
    { partsMax, addon, ...knowledge }: { partsMax: number; addon: string | undefined } & Knowledge,
  ) {
    this.#disk = disk
    const isOpen = (digest: Digest) => this.#fills.has(digest)
    this.#left = new LeftParts(disk, { most: partsMax, isOpen })
    this.#others = others
    this.space = lookAtSpace(disk)
    this.#uploads = new FilesystemUploads(disk, this.#turns)
    this.#keeper = new BlobKeeper(disk)
    this.#quarantine = new Quarantine(disk, this.#turns, knowledge)
    this.#bad = new BadPlaces(disk, this.#quarantine)
    const parts = { disk, quarantine: this.#quarantine, bad: this.#bad }
    this.#whole = new WholeReading({ ...parts, addon })
    this.#lengthCheck = new LengthCheck({ ...parts, known: knowledge.known })
  }

  /** Once, before anything is asked of it. @throws the system's error */
  async loadParts(): Promise<void> {
    await this.#left.load()
  }

  async find(digest: Digest, declaredBytes?: number): Promise<StoredBlob | undefined> {
    return await this.#lengthCheck.find(digest, declaredBytes)
  }

  async look(digest: Digest, declaredBytes?: number): Promise<Looked> {
    return await this.#lengthCheck.look(digest, declaredBytes)
  }

  async openRead(
    digest: Digest,
    declaredBytes?: number,
  ): Promise<{ blob: StoredBlob; handle: ReadHandle } | undefined> {
    const opened = await this.#lengthCheck.open(digest, declaredBytes)
    if (opened === undefined) return undefined
    return {
      blob: { digest, sizeBytes: opened.sizeBytes },
      handle: this.#bad.handle(digest, opened),
    }
  }

  readVerified(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#whole.readVerified(digest)
  }

  openRereader(): Rereader {
    return this.#whole.openRereader()
  }

  async put(digest: Digest, bytes: Uint8Array, contentClass: ContentClass): Promise<StoredBlob> {
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
      throw new StoreError('corrupt', `the ${bytes.length} bytes given for ${digest} are others`)
    }
    const path = temporaryPath(this.#disk.layout)
    const file = await orStoreError(this.#disk, `store ${digest}`, async () => {
      const created = await open(path, 'wx', WRITING_MODE)
      try {
        await writeFully(created, bytes)
        return created
      } catch (error) {
        await created.close().catch(() => {})
        await removeFile(path).catch(() => {})
        throw error
      }
    })
    const sizeBytes = bytes.length
    return await publish(this.#disk, this.#turns, { digest, file, path, sizeBytes, contentClass })
  }

  async openFill(digest: Digest, grown?: () => void): Promise<FillFile> {
    if (this.#fills.has(digest)) {
      throw new StoreError('busy', `another fill of ${digest} is open`)
    }
    this.#fills.add(digest)
    await this.#left.settled(digest)
    await this.#left.makePlace()
    try {
      const how = { isLeft: this.#left.has(digest), bad: this.#bad }
      const part = await openPart(this.#disk, digest, how)
      const ended = (leftBytes: number | undefined) => {
        this.#fills.delete(digest)
        if (leftBytes !== undefined) this.#left.add(digest, leftBytes, fill.expected)
      }
      const context = { disk: this.#disk, turns: this.#turns, grown, ended }
      const fill = new FilesystemFill(part, context)
      // Whoever opens it counts it from here on.
      this.#left.drop(digest)
      return fill
    } catch (error) {
      this.#fills.delete(digest)
      // Whatever is there may still be.
      if (!this.#left.has(digest)) this.#left.add(digest, 0, undefined)
      throw error
    }
  }

  mayResume(digest: Digest): boolean {
    return this.#left.has(digest)
  }

  async describeParts(): Promise<readonly LeftPart[]> {
    return this.#left.describe()
  }

  get partsBytes(): number {
    return this.#left.takenBytes
  }

  async removeParts(olderThanMs: number): Promise<void> {
    await this.#left.removeOlder(olderThanMs)
  }

  get quarantineBytes(): number {
    return this.#quarantine.bytes
  }

  async clearQuarantine(): Promise<void> {
    await this.#quarantine.clear()
  }

  removePart(digest: Digest): Promise<boolean> {
    return this.#left.remove(digest)
  }

  async keep(digest: Digest): Promise<StoredBlob | undefined> {
    // By its length, as everywhere.
    if ((await this.find(digest)) === undefined) return undefined
    return await this.#keeper.keep(digest)
  }

  async createUpload(id: string, note: string, algorithm: DigestAlgorithm): Promise<UploadFile> {
    return await this.#uploads.create(id, note, algorithm)
  }

  async openUpload(id: string): Promise<UploadFile | undefined> {
    return await this.#uploads.open(id)
  }

  async listUploads(): Promise<readonly LeftUpload[]> {
    return await this.#uploads.list()
  }

  async dateUpload(id: string, changedAtMs: number): Promise<void> {
    await this.#uploads.date(id, changedAtMs)
  }

  async removeUpload(id: string): Promise<void> {
    await this.#uploads.remove(id)
  }

  async remove(digest: Digest): Promise<void> {
    await orStoreError(this.#disk, `remove ${digest}`, () =>
      this.#turns.take(digest, () => removeFile(blobPath(this.#disk.layout, digest))),
    )
  }

  async *list(passedOver: PassedOver = () => {}): AsyncGenerator<StoredBlob> {
    yield* listBlobs({ ...this.#disk, passedOver })
  }

  get otherBytes(): number {
    return this.#others.bytes + this.#left.stuckBytes
  }

  async measureOthers(): Promise<void> {
    await this.#others.measure()
  }
}
