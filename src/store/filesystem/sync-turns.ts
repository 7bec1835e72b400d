// A sync holds one of the threads that do everything else on the disk, too, and for as long as a
// slow disk likes. What can be fetched again has no hurry: its syncs leave threads for the reads of
// clients and the writes of downloads.
import { Turns } from '../../async/turns.ts'

/** Turns side by side: half of the sixteen threads that main.ts asks for. */
const AT_ONCE = 8

export class SyncTurns {
  readonly #turns = new Turns()
  #last = 0

  /**
   * Runs `sync` once those before it that have the same of the turns have ended.
   * @throws what `sync` throws
   */
  async take(sync: () => Promise<void>): Promise<void> {
    this.#last = (this.#last + 1) % AT_ONCE
    await this.#turns.take(String(this.#last), sync)
  }
}
