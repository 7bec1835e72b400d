// Files that are there and that the disk cannot give back: a bad place, or a checksum of the file
// system that does not hold. To everybody else they are not here, so that they are fetched or
// pushed again; the operator is told, once for each.
import type { Digest } from '../../oci/digest.ts'
import type { Disk } from './disk.ts'
import { diskError, errnoOf, isUnreadable } from './disk-error.ts'

/** Remembered as told; a disk with more bad places than that is told of again. */
const TOLD_MAX = 1_000

export class BadPlaces {
  readonly #disk: Disk
  readonly #told = new Set<string>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** What `look` finds under this digest; undefined where the disk cannot say. */
  async orNone<Found>(digest: Digest, look: () => Promise<Found>): Promise<Found | undefined> {
    try {
      return await look()
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.tell(digest, error)
      return undefined
    }
  }

  /** `what`: a digest, or the name of what cannot be looked at. */
  tell(what: string, error: unknown): void {
    if (this.#told.has(what)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(what)
    const { note, layout } = this.#disk
    const known = diskError(error, { doing: 'read it', root: layout.root })
    const hint = known instanceof Error && 'hint' in known ? String(known.hint) : undefined
    const reason = `${what} cannot be read (${errnoOf(error) ?? String(error)})`
    note({ kind: 'storage failed', failure: 'io', reason, hint })
  }
}
