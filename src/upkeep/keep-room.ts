// Has the storage looked at while the process runs: others fill the same disk, and what is written
// without being asked about (manifests, facts, rows) counts as well. What is looked at, and what
// leaves, is the registry's part; this is when.
import { NOT_NEEDED } from '../async/aborting.ts'
import { noteStorage } from '../registry/best-effort.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'

/**
 * A fast line brings a gigabyte in this time, which the default of `storage.minfree` has several
 * times over; a look costs some twenty calls of the system.
 */
export const LOOK_EVERY_MS = 10_000
/** Where nothing can leave, everybody who wants room tells of it. */
const LOOK_AGAIN_AFTER_MS = 250

export interface RoomKeeperDeps {
  readonly clock: Pick<Clock, 'sleep'>
  readonly note: NoteEvent
  /** One look; resolves soon once `signal` is aborted. @throws StoreError */
  readonly keepRoom: (signal: AbortSignal) => Promise<void>
}

export class RoomKeeper {
  readonly #deps: RoomKeeperDeps
  readonly #stopping = new AbortController()
  #wake = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(deps: RoomKeeperDeps) {
    this.#deps = deps
  }

  /** The first look is at once. Not to be called twice. */
  start(): void {
    this.#running = this.#run()
  }

  /** Somebody wants room, or there may be less of it than before: looks soon. */
  look(): void {
    this.#wake.abort(NOT_NEEDED)
  }

  /** Resolves when nothing is done any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(NOT_NEEDED)
    await this.#running
  }

  async #run(): Promise<void> {
    const { note, keepRoom } = this.#deps
    const { signal } = this.#stopping
    while (!signal.aborted) {
      this.#wake = new AbortController()
      // The next look tries again.
      await keepRoom(signal).catch((error: unknown) => noteStorage(note, error))
      await this.#sleep(LOOK_AGAIN_AFTER_MS, signal)
      await this.#sleep(LOOK_EVERY_MS, AbortSignal.any([signal, this.#wake.signal]))
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#deps.clock.sleep(ms, signal).catch(() => {})
  }
}
