// Which rules are about an account, by its name and by the groups that it is in: found out once for
// all rules, so that a decision takes no look at groups, however many there are.
import { formatName, isNamed, type Named, parseGroup } from './names.ts'
import type { AccessRule } from './rule.ts'

/** As which somebody has logged in. */
export interface Identity {
  /** As a LoginName is written. */
  readonly name: string
  /** Beside those that `Groups` say, as formatGroup writes them. */
  readonly groups?: readonly string[]
}

/** Names of accounts by that of the group. */
export type Groups = Readonly<Record<string, readonly string[]>>

export interface NumbersOfName {
  /** The same for accounts that the same rules are about. */
  readonly key: string
  readonly numbers: readonly number[]
}

export class NameTable {
  readonly #numbers = new Map<string, number>()
  readonly #ofAccount = new Map<string, NumbersOfName>()
  readonly #ofAnonymous: NumbersOfName
  readonly #ofOthers: NumbersOfName = { key: 'other', numbers: [] }

  /** Numbers are below `anonymous`, which is that of who has no name. */
  constructor(rules: readonly AccessRule[], groups: Groups, anonymous: number) {
    this.#ofAnonymous = { key: 'nobody', numbers: [anonymous] }
    const numbers = new Map<string, Set<number>>()
    for (const { who } of rules) {
      if (!isNamed(who)) continue
      const text = formatName(who)
      const number = this.#numbers.get(text) ?? anonymous - 1 - this.#numbers.size
      this.#numbers.set(text, number)
      for (const name of membersOf(who, groups))
        numbers.set(name, (numbers.get(name) ?? new Set()).add(number))
    }
    for (const [name, all] of numbers)
      this.#ofAccount.set(name, { key: [...all].join(), numbers: [...all] })
  }

  /** Of one that the rules name. */
  numberOf(who: Named): number {
    const number = this.#numbers.get(formatName(who))
    if (number === undefined) throw new Error('no rule is about this name')
    return number
  }

  /** `account`: undefined for who has not logged in. `certificate`: names of the one shown. */
  find(account: Identity | undefined, certificate: readonly string[] = []): NumbersOfName {
    const own = this.#findAccount(account?.name, certificate.length > 0)
    // Of most callers nobody says more, and each answer from memory asks.
    if (certificate.length === 0 && account?.groups === undefined) return own
    const said: readonly Named[] = [
      ...certificate.map(name => ({ kind: 'certificate', name }) as const),
      ...(account?.groups ?? []).map(parseGroup),
    ]
    const numbers = said.flatMap(each => this.#numbers.get(formatName(each)) ?? [])
    if (numbers.length === 0) return own
    return { key: `${own.key} and ${numbers.join()}`, numbers: [...own.numbers, ...numbers] }
  }

  #findAccount(account: string | undefined, isNamed: boolean): NumbersOfName {
    if (account === undefined) return isNamed ? this.#ofOthers : this.#ofAnonymous
    return this.#ofAccount.get(account) ?? this.#ofOthers
  }
}

/** As far as that is not said by who is asked about. */
function membersOf(who: Named, groups: Groups): readonly string[] {
  switch (who.kind) {
    case 'certificate':
    case 'provider group':
      return []
    case 'group':
      return Object.hasOwn(groups, who.name) ? (groups[who.name] ?? []) : []
    case 'account':
    case 'robot':
    case 'identity':
      return [formatName(who)]
  }
}
