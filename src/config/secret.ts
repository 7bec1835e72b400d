// A value that must not be seen: it goes to whoever asks for it by name and into nothing that
// prints (R195).
import { createHash, timingSafeEqual } from 'node:crypto'

const SHOWN = '[secret]'
/** The key of util.inspect's own hook; node:util is not needed for it. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Prints as `[secret]` in template strings, JSON, console.log and error messages. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
    Object.freeze(this)
  }

  /** The value itself. Only for the header or the handshake that needs it. */
  reveal(): string {
    return this.#value
  }

  /** Takes as long for equal as for different values. */
  equals(other: Secret): boolean {
    const [mine, theirs] = [this.#value, other.#value].map(value =>
      createHash('sha256').update(value).digest(),
    )
    return mine !== undefined && theirs !== undefined && timingSafeEqual(mine, theirs)
  }

  toString(): string {
    return SHOWN
  }

  toJSON(): string {
    return SHOWN
  }

  [INSPECT](): string {
    return SHOWN
  }
}
