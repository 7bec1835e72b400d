// One fsync of a directory for everybody who waits for one: a sync covers what was renamed before
// it began, so whoever comes while one is running shares the next.
import { syncDirectory } from './disk.ts'

export class DirectorySync {
  readonly #directory: string
  readonly #sync: (directory: string) => Promise<void>
  #last: Promise<void> = Promise.resolve()
  /** Asked for, not begun. */
  #waiting: Promise<void> | undefined
  /**
   * Whether names may not be durable: at first they are not, for an earlier process may have been
   * killed before its sync.
   */
  #isDirty = true

  constructor(directory: string, sync: (directory: string) => Promise<void> = syncDirectory) {
    this.#directory = directory
    this.#sync = sync
  }

  /** Says that a name has changed. */
  touch(): void {
    this.#isDirty = true
  }

  /**
   * Resolves when every change that was told before this call is durable. A sync that failed is not
   * run again for those who shared it.
   * @throws the system's error
   */
  async settle(): Promise<void> {
    if (this.#waiting === undefined) {
      this.#waiting = this.#last.then(() => this.#run())
      this.#last = this.#waiting.catch(() => {})
    }
    await this.#waiting
  }

  async #run(): Promise<void> {
    this.#waiting = undefined
    if (!this.#isDirty) return
    this.#isDirty = false
    try {
      await this.#sync(this.#directory)
    } catch (error) {
      this.#isDirty = true
      throw error
    }
  }
}
