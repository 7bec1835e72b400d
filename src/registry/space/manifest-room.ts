// Room for a manifest that is to be cached. It is too small to ask about its bytes, but it takes a
// file, as a large blob does; and a client can be given very many of them by whoever answers to a
// name. So the last files are for pushes: some content leaves for it, or it is passed on.
import { Turns } from '../../async/turns.ts'
import { LATE, within } from '../../async/within.ts'
import type { Space } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import { StoreError } from '../ports/store-error.ts'
import type { RoomByEviction } from './eviction.ts'
import { bytesOf, fileRoomOf, type FilesWanted } from './file-room.ts'
import { fencesOf, type StorageLimits } from './limits.ts'
import { EVICTION_WAIT_MS } from './make-room.ts'
import { NO_FILES_LEFT } from './shortage.ts'

/** Made at once, for the manifests that come next. */
const FILES_AHEAD = 16

export interface ManifestRoomDeps {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly store: { space(): Promise<Space> }
  readonly limits: () => StorageLimits
  /** What a file of content takes, on average. */
  readonly bytesEach: () => Promise<number>
  readonly eviction: Pick<RoomByEviction, 'makeFiles' | 'evictableBytes'>
}

export class ManifestRoom {
  readonly #deps: ManifestRoomDeps
  readonly #turns = new Turns()

  constructor(deps: ManifestRoomDeps) {
    this.#deps = deps
  }

  /** Resolves when there is a file for it. Takes a time that is bounded. @throws StoreError full */
  async require(): Promise<void> {
    if ((await this.#wanted()) === undefined) return
    const stopping = new AbortController()
    // One at a time: those that come together would each have content leave for all.
    const making = this.#turns.take('files', () => this.#make(stopping.signal))
    const isMade = await within(this.#deps.clock, EVICTION_WAIT_MS, making)
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
