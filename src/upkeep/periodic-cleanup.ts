// Does what is due now and then, again and again while the process runs: removes what is left of
// downloads that failed and that nobody goes on with, and what is in the quarantine for nobody any
// more, and what is pending for pushes that never ended. What that is, is the store's part
// and the registry's; this is when.
import { NOT_NEEDED } from '../async/aborting.ts'
import { noteStorage } from '../registry/best-effort.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import { PART_AGE_LIMIT_MS } from '../registry/ports/blob-store-fills.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'

export const ROUND_EVERY_MS = 60 * 60 * 1000

export interface PeriodicCleanupDeps {
  readonly clock: Pick<Clock, 'sleep'>
  readonly note: NoteEvent
  readonly store: Pick<BlobStore, 'removeParts' | 'clearQuarantine'>
  /** Resolves soon once `signal` is aborted. @throws StoreError */
  readonly expirePendingBlobs: (signal: AbortSignal) => Promise<void>
}

export class PeriodicCleanup {
  readonly #deps: PeriodicCleanupDeps
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(deps: PeriodicCleanupDeps) {
    this.#deps = deps
  }

  /** Not to be called twice. */
  start(): void {
    this.#running = this.#run()
  }

  /** Resolves when nothing is done any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(NOT_NEEDED)
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, note, store, expirePendingBlobs } = this.#deps
    const { signal } = this.#stopping
    for (;;) {
      await clock.sleep(ROUND_EVERY_MS, signal).catch(() => {})
      if (signal.aborted) return
      // The next round tries again.
      const parts = () => store.removeParts(PART_AGE_LIMIT_MS)
      const pending = () => expirePendingBlobs(signal)
      for (const work of [parts, () => store.clearQuarantine(), pending])
        await work().catch((error: unknown) => noteStorage(note, error))
    }
  }
}
