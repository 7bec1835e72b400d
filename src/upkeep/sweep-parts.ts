// Removes, again and again while the process runs, what is left of downloads that failed and that nobody goes on with.
import { noteStorage } from '../registry/best-effort.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import { type Clock, NOT_NEEDED } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'

/** As at a start (store/filesystem/sweep.ts): what nobody asked for in this time is not worth its space. */
const PART_AGE_LIMIT_MS = 7 * 24 * 60 * 60 * 1000
export const SWEEP_EVERY_MS = 60 * 60 * 1000

export interface PartSweepDeps {
  readonly clock: Pick<Clock, 'sleep'>
  readonly note: NoteEvent
  readonly store: Pick<BlobStore, 'removeParts'>
}

export class PartSweep {
  readonly #deps: PartSweepDeps
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(deps: PartSweepDeps) {
    this.#deps = deps
  }

  /** Not to be called twice. */
  start(): void {
    this.#running = this.#run()
  }

  /** Resolves when nothing is removed any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(NOT_NEEDED)
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, note, store } = this.#deps
    const { signal } = this.#stopping
    for (;;) {
      await clock.sleep(SWEEP_EVERY_MS, signal).catch(() => {})
      if (signal.aborted) return
      // The next round tries again.
      await store.removeParts(PART_AGE_LIMIT_MS).catch((error: unknown) => noteStorage(note, error))
    }
  }
}
