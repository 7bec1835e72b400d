// What has left in a run, told as one event; with it how long the cache remembers.
import type { Clock } from '../ports/clock.ts'
import type { EvictedFor, NoteEvent } from '../ports/events.ts'

/** What has left in a run. */
export interface Batch {
  readonly images: number
  /** Files of blobs and manifests. */
  readonly blobs: number
  readonly bytes: number
  /** Of the images; -Infinity when there was none. */
  readonly youngestUsedAtMs: number
}

export const NOTHING_LEFT: Batch = {
  images: 0,
  blobs: 0,
  bytes: 0,
  youngestUsedAtMs: Number.NEGATIVE_INFINITY,
}

export interface TellDeps {
  readonly note: NoteEvent
  readonly clock: Pick<Clock, 'nowMs'>
}

export class BatchTeller {
  readonly #deps: TellDeps
  #youngestAgeMs = Number.POSITIVE_INFINITY

  constructor(deps: TellDeps) {
    this.#deps = deps
  }

  /** No effect if nothing has. */
  tell({ youngestUsedAtMs, ...batch }: Batch, why: EvictedFor): void {
    const { note, clock } = this.#deps
    if (batch.images + batch.blobs === 0) return
    const ageMs = Math.max(0, clock.nowMs() - youngestUsedAtMs)
    const youngestAgeMs = Number.isFinite(ageMs) ? ageMs : undefined
    this.#youngestAgeMs = Math.min(this.#youngestAgeMs, ageMs)
    note({ kind: 'evicted', why, ...batch, youngestAgeMs, shortestAgeMs: this.#youngestAgeMs })
  }
}
