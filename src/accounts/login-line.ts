// Who waits for a password to be tried, and whose is next: those who have failed least and ask for
// least at one time, so that whoever sends wrong ones waits behind, and is sent away first, and
// nobody else.
import type { FailedLogins, Whose } from './failed-logins.ts'

/** `whose`: of those who wait for it, the one with the best place. */
export interface WaitingLogin {
  readonly whose: Whose
}

export class LoginLine<Entry extends WaitingLogin> {
  readonly #max: number
  readonly #failed: Pick<FailedLogins, 'rank'>
  /** In the order in which they came. */
  #waiting: Entry[] = []

  constructor(max: number, failed: Pick<FailedLogins, 'rank'>) {
    this.#max = max
    this.#failed = failed
  }

  /** @returns who has no place any more: `entry`, or one that was to come after it */
  join(entry: Entry): Entry | undefined {
    this.#waiting.push(entry)
    return this.#waiting.length > this.#max ? this.#take((place, last) => place >= last) : undefined
  }

  /** Undefined where nobody waits. */
  next(): Entry | undefined {
    return this.#take((place, first) => place < first)
  }

  /** The one that is `before` all others. */
  #take(before: (place: number, other: number) => boolean): Entry | undefined {
    const places = this.#places()
    let at = 0
    for (const [index, place] of places.entries()) if (before(place, places[at] ?? 0)) at = index
    return this.#waiting.splice(at, 1)[0]
  }

  /** Each stands behind those of its source that came before, and twice where they are its own. */
  #places(): readonly number[] {
    const ahead = new Map<string, number>()
    const countAhead = (key: string) => {
      const count = ahead.get(key) ?? 0
      ahead.set(key, count + 1)
      return count
    }
    return this.#waiting.map(({ whose }) => {
      const { account, source } = whose
      return this.#failed.rank(whose) + countAhead(source) + countAhead(`${source} ${account}`)
    })
  }
}
