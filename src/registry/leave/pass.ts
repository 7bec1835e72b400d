// What one pass over all that is on its way out has removed: for whoever waits for it, and for the
// metrics.
import { onDiskBytes } from '../ports/blob-store.ts'
import type { LeaveReason, LeavingContent } from '../ports/catalog-space.ts'
import type { NoteEvent } from '../ports/events.ts'

/** Removed, of what was let go before it was asked for. Each pass has one of its own. */
export interface Left {
  readonly files: number
  /** In whole blocks, as the disk has them back. */
  readonly bytes: number
}

export const NONE_LEFT: Left = { files: 0, bytes: 0 }

export class Pass {
  failed = 0
  readonly #left = new Map<LeaveReason, Left>()

  add({ reason, sizeBytes }: LeavingContent): void {
    const { files, bytes } = this.#left.get(reason) ?? { files: 0, bytes: 0 }
    this.#left.set(reason, { files: files + 1, bytes: bytes + onDiskBytes(sizeBytes) })
  }

  end(note: NoteEvent): Left {
    for (const [reason, each] of this.#left) note({ kind: 'left', reason, ...each })
    return sumOf([...this.#left.values()])
  }
}

export function sumOf(all: readonly Left[]): Left {
  const sum = (what: keyof Left) => all.reduce((so, each) => so + each[what], 0)
  return { files: sum('files'), bytes: sum('bytes') }
}
