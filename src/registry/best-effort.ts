// Writing down what was learned from an upstream. When the disk is full or failing that costs the
// caching, never the client's answer (R126). Not for anything that was acknowledged as kept.
import { StoreError } from './ports/store-error.ts'
import type { NoteEvent } from './ports/events.ts'

/**
 * Resolves to false, after one event, when the disk did not take it.
 * @throws whatever else `work` throws
 */
export async function bestEffort(note: NoteEvent, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    noteStorage(note, error)
    return false
  }
}

/**
 * Tells of a failure of the disk, whatever kind of error it came as. `isPush`: a push is refused
 * for it.
 */
export function noteStorage(note: NoteEvent, error: unknown, isPush = false): void {
  const { failure, message, hint, room } =
    error instanceof StoreError ? error : new StoreError('io', String(error))
  note({ kind: 'storage failed', failure, reason: message, hint, isPush, room })
}
