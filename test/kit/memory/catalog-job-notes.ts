// What jobs note, of the catalog in memory.
import type { JobNote } from '../../../src/registry/ports/catalog-job-notes.ts'

export class MemoryJobNotes {
  readonly #notes = new Map<string, JobNote>()

  list(): JobNote[] {
    return [...this.#notes.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  note(note: JobNote): void {
    this.#notes.set(note.name, note)
  }
}
