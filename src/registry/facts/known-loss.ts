// What is lost is found by reading every fact; for who asks often it is remembered. Nothing is lost
// while a process runs: the catalog knows what is pushed. So once all is clear, facts are not read
// again, and until then not for each who asks.
import type { Clock } from '../ports/clock.ts'

/** What is lost is found at a start, or when it is pushed again: nobody waits for this to tell. */
const FOUND_AFTER_MS = 10 * 60_000

export interface LookForLoss<Found> {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly isClear: (found: Found) => boolean
}

export class KnownLoss<Found> {
  readonly #by: LookForLoss<Found>
  #known: { readonly found: Found; readonly atMs: number } | undefined
  #looking: Promise<Found | undefined> | undefined

  constructor(by: LookForLoss<Found>) {
    this.#by = by
  }

  /**
   * `look` runs once for all who ask meanwhile; undefined when it was cut off, which is not
   * remembered. @throws what `look` throws
   */
  async find(look: () => Promise<Found | undefined>): Promise<Found | undefined> {
    if (this.#known !== undefined && this.#holds(this.#known)) return this.#known.found
    this.#looking ??= this.#look(look).finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(look: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const atMs = this.#by.clock.monotonicMs()
    const found = await look()
    if (found !== undefined) this.#known = { found, atMs }
    return found
  }

  #holds({ found, atMs }: { readonly found: Found; readonly atMs: number }): boolean {
    const { clock, isClear } = this.#by
    return isClear(found) || clock.monotonicMs() - atMs < FOUND_AFTER_MS
  }
}
