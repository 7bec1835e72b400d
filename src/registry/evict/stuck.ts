// How much of what is cached could not leave when all of it was looked at last: pinned, in use or
// within a floor. For some seconds nobody is made to wait for the same look again, and an operator
// is told of it.
import { BLOCK_BYTES } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { StoreError } from '../ports/store-error.ts'
import { largestRepository } from '../space/repository-bytes.ts'

export interface StuckDeps {
  readonly catalog: Pick<Catalog, 'totals' | 'listRepositoryBytes'>
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly note: NoteEvent
  /** What unfinished uploads take. */
  readonly uploadsBytes: () => number
}

/** To add up repositories is work, and whoever is refused comes again at once. */
const TOLD_FOR_MS = 60_000

export class Stuck {
  readonly #deps: StuckDeps
  readonly #holdsForMs: number
  #last: { readonly bytes: number; readonly atMs: number } | undefined
  #toldMs = Number.NEGATIVE_INFINITY

  constructor(deps: StuckDeps, holdsForMs: number) {
    this.#deps = deps
    this.#holdsForMs = holdsForMs
  }

  /** `isOwn`: for one for whom more may leave than for others. @throws StoreError */
  async evictableBytes({ isOwn }: { readonly isOwn: boolean }): Promise<number> {
    const last = this.#last
    const ageMs = this.#deps.clock.monotonicMs() - (last?.atMs ?? Number.NEGATIVE_INFINITY)
    const stuckBytes = isOwn || ageMs >= this.#holdsForMs ? 0 : (last?.bytes ?? 0)
    return Math.max(0, (await this.#cachedBytes()) - stuckBytes)
  }

  /** On a disk without a byte the catalog cannot take down what is to leave. */
  async noteUnwritten(error: unknown): Promise<void> {
    if (!(error instanceof StoreError) || error.failure !== 'full') return
    const bytes = await this.#cachedBytes().catch(() => 0)
    this.#last = { bytes, atMs: this.#deps.clock.monotonicMs() }
  }

  /** No more than this may leave, though more is wanted. @throws StoreError */
  async note(couldLeaveBytes: number): Promise<void> {
    const cachedBytes = await this.#cachedBytes()
    this.#last = { bytes: cachedBytes - couldLeaveBytes, atMs: this.#deps.clock.monotonicMs() }
    await this.#tell()
  }

  /** Somebody was refused, without a look: the catalog counts too little. @throws StoreError */
  async refused(): Promise<void> {
    if (this.#deps.clock.monotonicMs() - this.#toldMs >= TOLD_FOR_MS) await this.#tell()
  }

  /** @throws StoreError */
  async #tell(): Promise<void> {
    const { catalog, note, clock } = this.#deps
    this.#toldMs = clock.monotonicMs()
    const { contentBlocks, keptBlocks } = await catalog.totals()
    const cachedBytes = (contentBlocks - keptBlocks) * BLOCK_BYTES
    // Whoever has taken the disk, it was nothing that is here, and nobody could name it.
    const uploadsBytes = this.#deps.uploadsBytes()
    if (contentBlocks === 0 && uploadsBytes === 0) return
    const largest = await largestRepository(catalog)
    const keptBytes = keptBlocks * BLOCK_BYTES
    note({ kind: 'nothing evictable', cachedBytes, keptBytes, uploadsBytes, largest })
  }

  async #cachedBytes(): Promise<number> {
    const { contentBlocks, keptBlocks } = await this.#deps.catalog.totals()
    return (contentBlocks - keptBlocks) * BLOCK_BYTES
  }
}
