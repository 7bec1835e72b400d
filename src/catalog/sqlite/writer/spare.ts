// Files that only take room, in the data directory. A disk that others have filled to the last byte
// would keep what is cached for ever: what leaves is written down first, and for that there is no
// room. So they go for a write that takes content away, and come back when there is room again.
// What they hold is of no use. Where the file system can hold so many files only, each is room for
// another one.
import { randomBytes } from 'node:crypto'
import { rm, stat, writeFile } from 'node:fs/promises'

/** With it, a few images leave: each writes some forty pages to the log of the catalog. */
export const SPARE_BYTES = 1024 * 1024

/**
 * Of these but one are empty. A start needs files for the log of the catalog, for what its readers
 * share, and perhaps for a socket; a delete needs one for its fact.
 */
const FILES = 4

export class Spare {
  readonly #file: string
  readonly #bytes: number
  #isThere = false
  /** Who gave it back while it is being made would leave none, and it would count as there. */
  #last: Promise<unknown> = Promise.resolve()

  /** `bytes`: 0 for none. */
  constructor(file: string, bytes: number) {
    this.#file = file
    this.#bytes = bytes
  }

  /** Makes it where it is missing, if there is room. Never rejects. */
  keep(): Promise<void> {
    return this.#inTurn(() => this.#keep())
  }

  /** Gives its room back; false where there never is any. */
  release(): Promise<boolean> {
    return this.#inTurn(() => this.#release())
  }

  async #keep(): Promise<void> {
    if (this.#isThere) return
    try {
      if (this.#bytes === 0) return await this.#remove()
      // As many as there are files for.
      for (const file of this.#empty) await writeFile(file, '', { mode: 0o600 })
      const there = await stat(this.#file).catch(() => undefined)
      // What would compress would take no room.
      if (there?.size !== this.#bytes)
        await writeFile(this.#file, randomBytes(this.#bytes), { mode: 0o600, flush: true })
      this.#isThere = true
    } catch {
      await rm(this.#file, { force: true }).catch(() => undefined)
    }
  }

  async #release(): Promise<boolean> {
    if (this.#bytes === 0) return false
    this.#isThere = false
    await this.#remove().catch(() => undefined)
    return true
  }

  async #remove(): Promise<void> {
    for (const file of [this.#file, ...this.#empty]) await rm(file, { force: true })
  }

  get #empty(): readonly string[] {
    return Array.from({ length: FILES - 1 }, (_, at) => `${this.#file}-${at + 2}`)
  }

  /** A step does not reject. */
  #inTurn<Value>(step: () => Promise<Value>): Promise<Value> {
    const mine = this.#last.then(step)
    this.#last = mine
    return mine
  }
}
