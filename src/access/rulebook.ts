// Which rule decides: the first that is about who asks, the repository, and the tags that are
// moved. After the last one nothing is allowed. Nothing in here looks anything up, so what it says
// does not depend on what exists.
//
// Which rules are about a caller hangs on few of its traits. Callers for whom they are the same are
// one party, and a party remembers which of its rules are about a repository.
import { LRUCache } from 'lru-cache'
import picomatch from 'picomatch'
import { TAG_GLOB } from '../oci/name-glob.ts'
import type { RepositoryKey, Tag } from '../oci/reference.ts'
import type { Action, MovedTags } from './access.ts'
import { createIsIn, isPeer } from './network.ts'
import { nextShown } from './next-shown.ts'
import type { AccessRule, Who } from './rule.ts'

/** Who asks, as far as rules can be about it. */
export interface Caller {
  /** Undefined, and what is no address: where it calls from is not known. */
  readonly address: string | typeof ELSEWHERE | undefined
  /** Undefined: that was not found out yet. Asked only where a rule is about it. */
  isLocal(): boolean | undefined
}

/** From where there is no network that a rule names. */
export const ELSEWHERE = Symbol('elsewhere')

export interface Question {
  /** Undefined: a name that leads to no repository. Only what is about all is about it, too. */
  readonly key: RepositoryKey | undefined
  readonly action: Action
  readonly moves?: MovedTags
}

/** `rule`: where it stands among the rules; undefined: none is about this. */
export interface Verdict {
  readonly isAllowed: boolean
  readonly rule: number | undefined
}

/** A party's rules, of which the first decides. */
export interface Party {
  judge(question: Question): Verdict
  /** Is there a rule of it that shows anything in lists? */
  mayListAnywhere(): boolean
  /** As nextShown, of one that is hidden. */
  nextShown(key: RepositoryKey): string | undefined
}

/** Clients choose the names. */
const REPOSITORIES_MAX = 1_024
/** Each has as many repositories at most; more networks than these that overlap are nobody's. */
const PARTIES_MAX = 64
/** Those that called last. */
const ADDRESSES_MAX = 1_024

interface Compiled {
  readonly index: number
  readonly rule: AccessRule
  readonly isAbout: (key: RepositoryKey | undefined) => boolean
  readonly isAboutTag: (tag: string) => boolean
  readonly isAboutAddress: (address: string | typeof ELSEWHERE) => boolean
}

/** Of those that are about a repository. What comes after `first` decides nothing. */
interface Order {
  readonly withTags: readonly Compiled[]
  /** The first without tags. */
  readonly first: Compiled | undefined
}

export class Rulebook {
  readonly #rules: readonly Compiled[]
  readonly #isAboutLocals: boolean
  readonly #isAboutNetworks: boolean
  readonly #parties = new LRUCache<string, Party>({ max: PARTIES_MAX })
  readonly #locals = new Map<string | typeof ELSEWHERE, Party>()
  readonly #others = new Map<string | typeof ELSEWHERE, Party>()
  readonly #public = new LRUCache<RepositoryKey, boolean>({ max: REPOSITORIES_MAX })

  constructor(rules: readonly AccessRule[]) {
    this.#rules = rules.map(compile)
    this.#isAboutLocals = rules.some(({ who }) => who.kind === 'local')
    this.#isAboutNetworks = rules.some(({ who }) => who.kind === 'network')
  }

  /** Does it take what `Caller.isLocal` tells? */
  get isAboutLocals(): boolean {
    return this.#isAboutLocals
  }

  /** Undefined where what is not known yet of the caller would decide. */
  partyOf(caller: Caller): Party | undefined {
    const isLocal = this.#isAboutLocals && caller.isLocal()
    if (isLocal === undefined) return undefined
    const known = isLocal ? this.#locals : this.#others
    const { address = '' } = caller
    let party = known.get(address)
    if (party === undefined) {
      party = this.#find(address, isLocal)
      if (known.size >= ADDRESSES_MAX) known.clear()
      known.set(address, party)
    }
    return party
  }

  /** May whoever asks pull it, from wherever? */
  isPublic(key: RepositoryKey): boolean {
    const known = this.#public.get(key)
    if (known !== undefined) return known
    const found = this.#lookIfPublic(key)
    this.#public.set(key, found)
    return found
  }

  #find(address: string | typeof ELSEWHERE, isLocal: boolean): Party {
    // A rule that denies something to its network could be about it.
    const isKnown = address === ELSEWHERE || isPeer(address)
    if (this.#isAboutNetworks && !isKnown) return UNKNOWN
    const rules = this.#rules.filter(({ rule: { who }, isAboutAddress }) =>
      who.kind === 'local' ? isLocal : isAboutAddress(address),
    )
    const name = rules.map(({ index }) => index).join()
    let party = this.#parties.get(name)
    if (party === undefined) {
      party = createParty(rules)
      this.#parties.set(name, party)
    }
    return party
  }

  /** Up to the first that is about everybody none may take it from anybody. */
  #lookIfPublic(key: RepositoryKey): boolean {
    for (const { rule, isAbout } of this.#rules) {
      if (rule.tags.length > 0 || !isAbout(key)) continue
      const isAllowed = rule.allow.includes('pull')
      if (!isAllowed || isAboutEverybody(rule)) return isAllowed
    }
    return false
  }
}

/** Nobody has an account, so nobody is more than anonymous. */
function isAboutEverybody({ who }: AccessRule): boolean {
  return who.kind === 'everybody' || who.kind === 'anonymous'
}

function compile(rule: AccessRule, index: number): Compiled {
  const { who, match, tags } = rule
  const isAll = match === '**'
  const matches = isAll ? () => true : picomatch(match, { dot: true })
  return {
    index,
    rule,
    isAbout: key => (key === undefined ? isAll : matches(key)),
    isAboutTag: tags.length === 0 ? () => true : picomatch([...tags], TAG_GLOB),
    isAboutAddress: createIsAboutAddress(who),
  }
}

function createIsAboutAddress(who: Who): Compiled['isAboutAddress'] {
  if (who.kind !== 'network') return () => true
  const isIn = createIsIn(who.network)
  return address => address !== ELSEWHERE && isIn(address)
}

function createParty(rules: readonly Compiled[]): Party {
  const orders = new LRUCache<RepositoryKey, Order>({ max: REPOSITORIES_MAX })
  const withoutTags = rules.map(({ rule }) => rule).filter(({ tags }) => tags.length === 0)

  function orderOf(key: RepositoryKey | undefined): Order {
    const known = key === undefined ? undefined : orders.get(key)
    if (known !== undefined) return known
    const found = findOrder(rules, key)
    if (key !== undefined) orders.set(key, found)
    return found
  }

  return {
    judge({ key, action, moves }) {
      const order = orderOf(key)
      if (action === 'pull' || action === 'list') return verdictOf(order.first, action)
      if (moves === 'any') return judgeAll(order, action)
      if (moves !== undefined && moves.length > 0) return judgeTags(order, action, moves)
      return action === 'push' ? judgeUntagged(order) : judgeAll(order, action)
    },
    mayListAnywhere: () => withoutTags.some(({ allow }) => allow.includes('list')),
    nextShown: key => nextShown(withoutTags, key, orderOf(key).first?.rule),
  }
}

/** Those of whom it cannot be told which rules are about them. */
const UNKNOWN = createParty([])

function findOrder(rules: readonly Compiled[], key: RepositoryKey | undefined): Order {
  const first = rules.find(({ rule, isAbout }) => rule.tags.length === 0 && isAbout(key))
  const before = first === undefined ? rules : rules.slice(0, rules.indexOf(first))
  const withTags = before.filter(({ rule, isAbout }) => rule.tags.length > 0 && isAbout(key))
  return { withTags, first }
}

/** Each tag has its own first rule. */
function judgeTags({ withTags, first }: Order, action: Action, tags: readonly Tag[]): Verdict {
  const verdicts = tags.map(tag =>
    verdictOf(withTags.find(({ isAboutTag }) => isAboutTag(tag)) ?? first, action),
  )
  return verdicts.find(({ isAllowed }) => !isAllowed) ?? verdicts[0] ?? verdictOf(first, action)
}

/** It may move each tag that there is: none of the rules with tags may be against it. */
function judgeAll({ withTags, first }: Order, action: Action): Verdict {
  const against = withTags.find(({ rule }) => !rule.allow.includes(action))
  return verdictOf(against ?? first, action)
}

/** It comes before a push of a tag that is not told yet: one that may be pushed is enough. */
function judgeUntagged({ withTags, first }: Order): Verdict {
  const forIt = withTags.find(({ rule }) => rule.allow.includes('push'))
  return verdictOf(forIt ?? first, 'push')
}

function verdictOf(deciding: Compiled | undefined, action: Action): Verdict {
  return {
    isAllowed: deciding?.rule.allow.includes(action) ?? false,
    rule: deciding?.index,
  }
}
