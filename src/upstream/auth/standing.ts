// What a registry makes of the credentials that it is shown, for `status` and `check`: a password
// that is wrong looks like repositories that are closed. It takes them as soon as it gives a token
// by them for anything.
import type { Clock } from '../../registry/ports/clock.ts'

export type Taken = 'taken' | 'refused'

/** Who asks for what is closed asks again and again: so often is found out whether that is all. */
const FIND_OUT_MS = 60_000

export class Standing {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #last: { readonly taken: Taken; readonly identity: string; readonly atMs: number } | undefined

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Undefined while nobody was shown any. */
  get now(): Taken | undefined {
    return this.#last?.taken
  }

  /** `identity`: of the credential, as in Credential. */
  note(taken: Taken, identity: string): void {
    this.#last = { taken, identity, atMs: this.#clock.monotonicMs() }
  }

  /** Was this credential refused a moment ago? */
  wasRefused(identity: string): boolean {
    const { taken, identity: shown, atMs = 0 } = this.#last ?? {}
    const isLate = this.#clock.monotonicMs() - atMs >= FIND_OUT_MS
    return taken === 'refused' && shown === identity && !isLate
  }
}
