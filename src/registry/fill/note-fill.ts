// What is told of a fill: that it started, once, and how it ended.
import type { FillOutcome, NoteEvent } from '../ports/events.ts'
import { hintOf } from './fill-rules.ts'
import type { FillTask } from './fill-task.ts'

export interface FillEnd {
  readonly sizeBytes: number
  readonly durationMs: number
  /** Undefined when there was none. */
  readonly failure: unknown
}

export class FillNotes {
  readonly #note: NoteEvent
  readonly #what: Pick<FillTask, 'repository' | 'digest'>
  #resumedBytes: number | undefined

  constructor(note: NoteEvent, { repository, digest }: FillTask) {
    this.#note = note
    this.#what = { repository, digest }
  }

  /** What was here already; undefined before the start. */
  get resumedBytes(): number | undefined {
    return this.#resumedBytes
  }

  /** No effect after the first call: every fill that ends has started once. */
  started(resumedBytes: number): void {
    if (this.#resumedBytes !== undefined) return
    this.#resumedBytes = resumedBytes
    this.#note({ kind: 'fill started', ...this.#what, resumedBytes })
  }

  ended(outcome: FillOutcome, { sizeBytes, durationMs, failure }: FillEnd): void {
    this.started(0)
    this.#note({
      kind: 'fill ended',
      ...this.#what,
      outcome,
      sizeBytes,
      durationMs,
      reason: failure instanceof Error ? failure.message : undefined,
      hint: hintOf(failure),
    })
  }
}
