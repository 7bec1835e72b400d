// Tells the operator of what the disk cannot look at or read: once for each file, however often
// somebody comes by.
import type { NoteEvent } from '../../registry/ports/events.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import { causeOf, diskError, errnoOf } from './disk-error.ts'
import type { Layout } from './layout.ts'

/** Remembered as told; of a disk with more bad places that is told of again. */
const TOLD_MAX = 1_000

export class Unreadable {
  readonly #note: NoteEvent
  readonly #root: string
  readonly #told = new Set<string>()

  constructor({ note, layout }: { readonly note: NoteEvent; readonly layout: Layout }) {
    this.#note = note
    this.#root = layout.root
  }

  /** `what`: a digest, or the name of what cannot be looked at. */
  tell(what: string, error: unknown): void {
    if (this.#told.has(what)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(what)
    const cause = causeOf(error)
    const known = diskError(cause, { doing: 'read it', root: this.#root })
    const hint = known instanceof StoreError ? known.hint : undefined
    const reason = `${what} cannot be read (${errnoOf(cause) ?? String(cause)})`
    this.#note({ kind: 'storage failed', failure: 'io', reason, hint })
  }
}
