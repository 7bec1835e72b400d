// What comes of a length that nobody knows: no room is made ahead of it, and so it is looked for
// after so much of all of it together. Each by itself would bring as much before anybody looked,
// and hundreds may come at once.

/** The reserve on the disk is larger. */
const LOOK_AGAIN_BYTES = 16 * 1024 * 1024

export class Unsaid {
  #bytes = 0

  /** So much more has come: is it time to look? */
  isDue(bytes: number): boolean {
    this.#bytes += bytes
    if (this.#bytes < LOOK_AGAIN_BYTES) return false
    this.#bytes = 0
    return true
  }
}
