// One open file for all who read a blob while it is filled: a descriptor per blob instead of one
// per client.
import type { ReadHandle } from '../ports/blob-store.ts'

export class SharedHandle {
  readonly #handle: ReadHandle
  #holders = 1

  /** Holds the handle once for its maker, who must release it. */
  constructor(handle: ReadHandle) {
    this.#handle = handle
  }

  get descriptor(): number | undefined {
    return this.#handle.descriptor
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#handle.read(buffer, position)
  }

  /** Does anybody hold it beside its maker? */
  get isShared(): boolean {
    return this.#holders > 1
  }

  /** One more holder; false when the file was closed already. */
  hold(): boolean {
    if (this.#holders === 0) return false
    this.#holders += 1
    return true
  }

  /** Closes the file with its last holder. MUST be called once per hold. */
  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders === 0) await this.#handle.close()
  }
}
