// Images that were evicted so long ago that a disk of twice the size would have lost them, too.
import { noteStorage } from '../best-effort.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'

export interface ForgetGhostsDeps {
  readonly catalog: Pick<Catalog, 'trimGhosts'>
  /** What the data directory may take. @throws StoreError */
  readonly maxBytes: () => Promise<number>
  readonly note: NoteEvent
}

export async function forgetGhosts({ catalog, maxBytes, note }: ForgetGhostsDeps): Promise<void> {
  try {
    await catalog.trimGhosts(await maxBytes())
  } catch (error) {
    noteStorage(note, error)
  }
}
