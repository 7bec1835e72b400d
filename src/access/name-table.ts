// Which rules are about an account, by its name and by the groups that it is in: found out once for
// all rules, so that a decision takes no look at groups, however many there are.
import type { AccessRule, Who } from './rule.ts'

/** As which somebody has logged in. */
export interface Identity {
  readonly name: string
  /** Beside those that `Groups` say. */
  readonly groups?: readonly string[]
}

/** Names of accounts by that of the group. */
export type Groups = Readonly<Record<string, readonly string[]>>

export interface NumbersOfName {
  /** The same for accounts that the same rules are about. */
  readonly key: string
  readonly numbers: readonly number[]
}

type Named = Extract<Who, { kind: 'account' | 'group' | 'certificate' }>

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
      if (who.kind !== 'account' && who.kind !== 'group' && who.kind !== 'certificate') continue
      const text = textOf(who)
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
    const number = this.#numbers.get(textOf(who))
    if (number === undefined) throw new Error('no rule is about this name')
    return number
  }

  /** `account`: undefined for who has not logged in. `certificate`: names of the one shown. */
  find(account: Identity | undefined, certificate: readonly string[] = []): NumbersOfName {
    const own = this.#findAccount(account?.name, certificate.length > 0)
    const said: readonly Named[] = [
      ...certificate.map(name => ({ kind: 'certificate', name }) as const),
      ...(account?.groups ?? []).map(name => ({ kind: 'group', name }) as const),
    ]
    const numbers = said.flatMap(each => this.#numbers.get(textOf(each)) ?? [])
    if (numbers.length === 0) return own
    return { key: `${own.key} and ${numbers.join()}`, numbers: [...own.numbers, ...numbers] }
  }

  #findAccount(account: string | undefined, isNamed: boolean): NumbersOfName {
    if (account === undefined) return isNamed ? this.#ofOthers : this.#ofAnonymous
    return this.#ofAccount.get(account) ?? this.#ofOthers
  }
}

function membersOf(who: Named, groups: Groups): readonly string[] {
  if (who.kind === 'account') return [who.name]
  if (who.kind === 'certificate') return []
  return Object.hasOwn(groups, who.name) ? (groups[who.name] ?? []) : []
}

/** What comes before the first colon is the kind. */
function textOf({ kind, name }: Named): string {
  return `${kind}:${name}`
}
