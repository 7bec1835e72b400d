// What was promised and is not given back, beside what the rows of content count. A blob has its
// row a moment before its claim is given back, and must not count by both then: images would leave
// for bytes that nobody has written.
import type { Digest } from '../../oci/digest.ts'
import type { SpaceClaim } from './claim.ts'

export interface Rows {
  /** What whole content takes now. */
  readonly usedBytes: () => Promise<number>
  /** Does `usedBytes` count the file of this digest? */
  readonly isRecorded: (digest: Digest) => Promise<boolean>
}

/** What is taken, and what will be. */
interface Counted {
  /** By rows. */
  readonly recordedBytes: number
  /** Those by now that no row counts yet. */
  readonly claims: () => readonly SpaceClaim[]
}

export class Claims {
  readonly #rows: Rows
  readonly #all = new Set<SpaceClaim>()

  constructor(rows: Rows) {
    this.#rows = rows
  }

  /** Returns what gives it back. */
  add(claim: SpaceClaim): () => void {
    this.#all.add(claim)
    return () => void this.#all.delete(claim)
  }

  /**
   * To be used at once: a blob that is recorded after this and given back before the claims are
   * summed would count for nobody.
   * @throws StoreError
   */
  async beside(): Promise<Counted> {
    // First: what is recorded before the second look counts twice in it, and not for nobody.
    const recorded = await this.#recorded()
    const recordedBytes = await this.#rows.usedBytes()
    return { recordedBytes, claims: () => [...this.#all].filter(claim => !recorded.has(claim)) }
  }

  async #recorded(): Promise<ReadonlySet<SpaceClaim>> {
    const recorded = new Set<SpaceClaim>()
    for (const claim of this.#all) {
      const digest = claim.published?.()
      if (digest !== undefined && (await this.#rows.isRecorded(digest))) recorded.add(claim)
    }
    return recorded
  }
}
