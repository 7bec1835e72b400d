// Whether enough could leave, as it was looked for a moment ago. To look takes a look at many
// images where much may not leave, and everybody asks who has something to fetch.
import type { Clock } from '../ports/clock.ts'
import type { Quota } from '../routing/quota.ts'

/** So much was looked for, by whoever has these quotas. */
interface Looked {
  readonly bytes: number
  readonly own: readonly Quota[]
  readonly atMs: number
}

/** What could leave for some quotas also could for more: whose floors are theirs. */
const hasAll = (own: readonly Quota[], of: readonly Quota[]) => of.every(each => own.includes(each))

export class LookedFor {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #holdsForMs: number
  #enough: Looked | undefined
  #tooLittle: Looked | undefined

  constructor(clock: Pick<Clock, 'monotonicMs'>, holdsForMs: number) {
    this.#clock = clock
    this.#holdsForMs = holdsForMs
  }

  note(isEnough: boolean, looked: Omit<Looked, 'atMs'>): void {
    const now = { ...looked, atMs: this.#clock.monotonicMs() }
    if (isEnough) this.#enough = now
    else this.#tooLittle = now
  }

  /** Undefined: it is to be looked for. */
  isEnough({ bytes, own }: Omit<Looked, 'atMs'>): boolean | undefined {
    const enough = this.#lately(this.#enough)
    if (enough !== undefined && bytes <= enough.bytes && hasAll(own, enough.own)) return true
    const little = this.#lately(this.#tooLittle)
    if (little !== undefined && bytes >= little.bytes && hasAll(little.own, own)) return false
    return undefined
  }

  #lately(looked: Looked | undefined): Looked | undefined {
    const nowMs = this.#clock.monotonicMs()
    return looked !== undefined && nowMs - looked.atMs < this.#holdsForMs ? looked : undefined
  }
}
