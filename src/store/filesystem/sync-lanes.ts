// A sync holds one of the threads that do everything else on the disk, too, and for as long as a
// slow disk likes. What can be fetched again has no hurry: its syncs leave threads for the reads of
// clients and the writes of downloads.
import { Turns } from '../../async/turns.ts'

/** Half of the sixteen threads that main.ts asks for. */
const LANES = 8

export class SyncLanes {
  readonly #turns = new Turns()
  #last = 0

  /**
   * Runs `sync` when no more than the others of its lane were asked for before.
   * @throws what `sync` throws
   */
  async take(sync: () => Promise<void>): Promise<void> {
    this.#last = (this.#last + 1) % LANES
    await this.#turns.take(String(this.#last), sync)
  }
}
