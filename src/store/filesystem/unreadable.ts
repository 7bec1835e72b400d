// Tells the operator of what the disk cannot look at or read: once for each file, however often
// somebody comes by.
import type { NoteEvent } from '../../registry/ports/events.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import { UNKNOWN } from '../../registry/ports/blob-store-content.ts'
import { causeOf, diskError, isUnreadable, whyUnread } from './disk-error.ts'
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

  /** What `look` finds; what the disk cannot look at or read is told, and unknown. */
  async orUnknown<Found>(
    what: string,
    look: () => Promise<Found>,
  ): Promise<Found | typeof UNKNOWN> {
    try {
      return await look()
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.tell(what, error)
      return UNKNOWN
    }
  }

  /** The same for who has nothing to say of what is unknown. */
  async orNone<Found>(what: string, look: () => Promise<Found>): Promise<Found | undefined> {
    const found = await this.orUnknown(what, look)
    return found === UNKNOWN ? undefined : found
  }

  /** `what`: a digest, or the name of what cannot be looked at. */
  tell(what: string, error: unknown): void {
    if (this.#told.has(what)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(what)
    const cause = causeOf(error)
    const known = diskError(cause, { doing: 'read it', root: this.#root })
    const hint = known instanceof StoreError ? known.hint : undefined
    const reason = `${what} cannot be read (${whyUnread(error)})`
    this.#note({ kind: 'storage failed', failure: 'io', reason, hint })
  }
}
