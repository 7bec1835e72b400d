// Room for a manifest. Most are too small to look for room for each of them, so that is done once
// for many; but whoever pushes, or answers to a name, may have very many of them, and large ones.
// One that is to be cached takes a file besides, and the last files are for pushes. Where there is
// none, some content leaves for it, or it is passed on.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Haste } from '../../async/haste.ts'
import { Turns } from '../../async/turns.ts'
import { LATE, within } from '../../async/within.ts'
import { BLOCK_BYTES, type Space } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import { StoreError } from '../ports/store-error.ts'
import { claimOf, type SpaceClaim } from './claim.ts'
import type { RoomByEviction } from './eviction.ts'
import { bytesOf, fileRoomOf, type FilesWanted } from './file-room.ts'
import type { SpaceLedger } from './ledger.ts'
import { fencesOf, type StorageLimits } from './limits.ts'
import { EVICTION_WAIT_MS } from './make-room.ts'
import { NO_FILES_LEFT } from './shortage.ts'

/** Made at once, for the manifests that come next. */
const FILES_AHEAD = 16

/**
 * So much of manifests comes without a look at the room for it, all together: hundreds of common
 * ones, for which two looks at the disk each would be many. A limit is exceeded by no more.
 */
const UNCHECKED_MAX_BYTES = 1024 * 1024

export interface ComingManifest {
  readonly repository: Repository
  readonly digest: Digest
  readonly sizeBytes: number
  readonly from: SpaceClaim['from']
}

export interface ManifestRoomDeps {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly store: { space(): Promise<Space> }
  readonly limits: () => StorageLimits
  /** What a file of content takes, on average. */
  readonly bytesEach: () => Promise<number>
  readonly eviction: Pick<RoomByEviction, 'makeFiles' | 'evictableBytes'>
  readonly haste: Haste
  readonly space: Pick<SpaceLedger, 'make' | 'count'>
  /** Are its bytes here? */
  readonly isRecorded: (digest: Digest) => Promise<boolean>
}

export class ManifestRoom {
  readonly #deps: ManifestRoomDeps
  readonly #turns = new Turns()
  /** Since room was found for one. */
  #uncheckedBytes = 0

  constructor(deps: ManifestRoomDeps) {
    this.#deps = deps
  }

  /**
   * Runs `write`, which stores the manifest, once there is room for it. What is here needs none. To
   * wait takes a time that is bounded.
   * @throws StoreError full; what `write` throws
   */
  async during<Written>(manifest: ComingManifest, write: () => Promise<Written>): Promise<Written> {
    if (await this.#deps.isRecorded(manifest.digest)) return await write()
    if (manifest.from !== 'client') await this.#requireFile()
    const bytes = Math.ceil(manifest.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES
    this.#uncheckedBytes += bytes
    if (this.#uncheckedBytes < UNCHECKED_MAX_BYTES) return await write()
    const giveBack = await this.#claim(manifest, bytes)
    // Not before there was some: who finds none leaves the next to look again.
    this.#uncheckedBytes = 0
    try {
      return await write()
    } finally {
      giveBack()
    }
  }

  /**
   * All of it is here, and wants no more than is free or may leave: what others have announced is
   * not in its way. Returns what gives the room back. @throws StoreError full
   */
  async #claim({ from, repository, digest }: ComingManifest, bytes: number): Promise<() => void> {
    const { space } = this.#deps
    const piece = { from, of: repository, bytes }
    let giveBack = (): void => {}
    await space.make(piece, () => {
      giveBack = space.count({ ...claimOf(piece), published: () => digest })
    })
    return giveBack
  }

  /** Resolves when there is a file for it. @throws StoreError full */
  async #requireFile(): Promise<void> {
    if ((await this.#wanted()) === undefined) return
    const stopping = new AbortController()
    // One at a time: those that come together would each have content leave for all.
    const { clock, haste } = this.#deps
    const making = this.#turns.take('files', () => this.#make(stopping.signal))
    const isMade = await haste.of(() => within(clock, EVICTION_WAIT_MS, making))
    if (isMade === true) return
    if (isMade === LATE) stopping.abort(new Error('whoever needed the file waits no longer'))
    const { message, hint } = NO_FILES_LEFT
    throw new StoreError('full', message, { hint })
  }

  async #make(signal: AbortSignal): Promise<boolean> {
    const { eviction } = this.#deps
    const wanted = await this.#wanted()
    if (wanted === undefined) return true
    // Where others have them, a cache that is emptied gives too few.
    if (signal.aborted || bytesOf(wanted) > (await eviction.evictableBytes())) return false
    await eviction.makeFiles(wanted, signal)
    return (await this.#wanted()) === undefined
  }

  /** Undefined: there are enough. */
  async #wanted(): Promise<FilesWanted | undefined> {
    const { store, limits, bytesEach } = this.#deps
    const space = await store.space()
    const room = await fileRoomOf(space, fencesOf(limits(), space).minFreeBytes, bytesEach)
    if (room === undefined || room.files > room.pushReserveFiles) return undefined
    return { count: room.pushReserveFiles - room.files + FILES_AHEAD, bytesEach: room.bytesEach }
  }
}
