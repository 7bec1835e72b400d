// Which rule decides: the first that is about who asks, the repository, and the tags that are
// moved. After the last one nothing is allowed. Nothing in here looks anything up, so what it says
// does not depend on what exists.
//
// Of an asker it is remembered in which of the named networks it is, and for all together whom the
// same rules are about, which decide on what they may pull. What is hidden is looked through anew
// each time, by the asker's rules alone: else whoever is refused could tell by the time that
// others pull it.
import { LRUCache } from 'lru-cache'
import picomatch from 'picomatch'
import { boundedCache } from '../async/bounded-cache.ts'
import { TAG_GLOB } from '../oci/name-glob.ts'
import type { RepositoryKey } from '../oci/reference.ts'
import type { MovedTags } from './access.ts'
import { type Groups, type Identity, NameTable, type NumbersOfName } from './name-table.ts'
import type { Who } from './names.ts'
import { NetworkTable } from './network-table.ts'
import { nextShown } from './next-shown.ts'
import { beginningOf } from './pattern.ts'
import { type AccessRule, type Right, RIGHTS } from './rule.ts'
import { judge, type ApplicableRules, type RuleOfTags, type Verdict } from './verdict.ts'

/** Who asks, as far as rules can be about it. */
export interface Asker {
  /** Undefined, and what is no address: where it calls from is not known. */
  readonly address: string | typeof ELSEWHERE | undefined
  /** As which it has logged in. Default: it has not. */
  readonly account?: Identity | undefined
  /** Names of the certificate that it shows. Default: none. */
  readonly certificate?: readonly string[] | undefined
  /** Undefined: that was not found out yet. Asked only where a rule is about it. */
  isLocal(): boolean | undefined
}

/** From where there is no network that a rule names. */
export const ELSEWHERE = Symbol('elsewhere')

export interface Question {
  /** Undefined: a name that leads to no repository. Only what is about all is about it, too. */
  readonly key: RepositoryKey | undefined
  readonly action: Right
  readonly moves?: MovedTags
}

/** Some whom the same rules are about. */
export interface Party {
  judge(question: Question): Verdict
  /** Is there a rule of it that shows anything in lists? */
  mayListAnywhere(): boolean
  /** In lists. Remembers nothing: lists are of more than those that are asked for. */
  isShown(key: RepositoryKey): boolean
  /** As nextShown, of one that is hidden. */
  nextShown(key: RepositoryKey): string | undefined
}

/** Rules with tags, of all that is remembered: some ten megabytes at most. */
const REMEMBERED_RULES_MAX = 256 * 1024
/** What is remembered takes as much as so many: it is some ten thousand things. */
const REMEMBERED_AS_RULES = 16
/** Those that called last, with each name that rules know; a few hundred bytes each. */
const CALLERS_MAX = 4_096

/** Whom a rule is about, by number: that of a network, one of these, or of a name below them. */
type WhoNumber = number
type Whos = ReadonlySet<WhoNumber>
const EVERYBODY: WhoNumber = -1
const LOCALS: WhoNumber = -2
const ANONYMOUS: WhoNumber = -3
/** Who shows nothing and comes from anywhere. */
const NOBODY_KNOWN: Whos = new Set([EVERYBODY, ANONYMOUS])

interface Compiled extends RuleOfTags {
  readonly who: WhoNumber
  readonly hasTags: boolean
  readonly isAbout: (key: RepositoryKey | undefined) => boolean
}

/** An asker of whom everything is known. */
interface Known {
  readonly address: string | typeof ELSEWHERE
  readonly isLocal: boolean
  readonly names: NumbersOfName
}

export class Rulebook {
  readonly #rules: readonly Compiled[]
  readonly #networks: NetworkTable
  readonly #names: NameTable
  /** Does it take what `Asker.isLocal` tells? */
  readonly isAboutLocals: boolean
  readonly #parties = boundedCache<Party>(CALLERS_MAX)
  readonly #applicable = new LRUCache<string, ApplicableRules>({
    maxSize: REMEMBERED_RULES_MAX,
    sizeCalculation: ({ withTags }) => REMEMBERED_AS_RULES + withTags.length,
  })
  /** A request asks for memory and once more on its way to a refusal: it is to cost the same. */
  #last:
    | { readonly whos: Whos; readonly key: RepositoryKey; readonly applicable: ApplicableRules }
    | undefined

  /** `groups`: the accounts that are in each. */
  constructor(rules: readonly AccessRule[], groups: Groups = {}) {
    const networks = rules.flatMap(({ who }) => (who.kind === 'network' ? [who.network] : []))
    this.#networks = new NetworkTable(networks)
    this.#names = new NameTable(rules, groups, ANONYMOUS)
    const numberOf = (who: Who) => numberOfWho(who, this.#networks, this.#names)
    this.#rules = rules.map((rule, index) => compile(rule, index, numberOf(rule.who)))
    this.isAboutLocals = rules.some(({ who }) => who.kind === 'local')
  }

  /** Undefined where what is not known yet of the asker would decide. */
  partyOf(asker: Asker): Party | undefined {
    const isLocal = this.isAboutLocals && asker.isLocal()
    if (isLocal === undefined) return undefined
    const { address = '' } = asker
    // Of all the names that no rule is about, callers are alike.
    const names = this.#names.find(asker.account, asker.certificate)
    const key = this.#partyKeyOf({ address, isLocal, names })
    let party = this.#parties.get(key)
    if (party === undefined) {
      party = this.#createParty({ address, isLocal, names })
      this.#parties.set(key, party)
    }
    return party
  }

  /** A text that there is already, where callers differ by their names alone. */
  #partyKeyOf({ address, isLocal, names }: Known): string {
    if (this.#networks.size > 0) {
      const from = address === ELSEWHERE ? ' ' : address
      return `${isLocal ? 'local' : ''} ${names.key} ${from}`
    }
    return isLocal ? `local ${names.key}` : names.key
  }

  /** May whoever asks do everything, everywhere, so that nobody needs a name? */
  get isOpenToAll(): boolean {
    const [first] = this.#rules
    if (first?.who !== EVERYBODY || first.hasTags || first.rule.match !== '**') return false
    return RIGHTS.every(right => first.rule.allow.includes(right))
  }

  /** May whoever asks pull it, from wherever? To be asked for who may. */
  isPublic(key: RepositoryKey): boolean {
    return isForAll(this.#rules, key)
  }

  #createParty(asker: Known): Party {
    const whos = this.#whosOf(asker)
    const name = [...whos].join(' ')
    // What it pulls it asks for again and again, with those of others in between.
    let pulled: { readonly key: RepositoryKey; readonly applicable: ApplicableRules } | undefined
    return createParty(whos, this.#rules, key => {
      if (pulled !== undefined && pulled.key === key) return pulled.applicable
      const applicable = this.#rulesFor({ whos, name }, key)
      if (key !== undefined && isPulled(applicable)) pulled = { key, applicable }
      return applicable
    })
  }

  /** None where a rule that denies something to its network could be about it. */
  #whosOf({ address, isLocal, names }: Known): Whos {
    const whos = new Set<WhoNumber>([EVERYBODY, ...names.numbers])
    if (isLocal) whos.add(LOCALS)
    if (address === ELSEWHERE || this.#networks.size === 0) return whos
    const networks = this.#networks.find(address)
    if (networks === undefined) return new Set()
    for (const network of networks) whos.add(network)
    return whos
  }

  #rulesFor(
    { whos, name }: { readonly whos: Whos; readonly name: string },
    key: RepositoryKey | undefined,
  ): ApplicableRules {
    if (key === undefined) return findApplicable(whos, this.#rules, key)
    if (this.#last?.key === key && this.#last.whos === whos) return this.#last.applicable
    const known = this.#applicable.get(`${name} ${key}`)
    const applicable = known ?? findApplicable(whos, this.#rules, key)
    if (known === undefined && isPulled(applicable))
      this.#applicable.set(`${name} ${key}`, applicable)
    this.#last = { whos, key, applicable }
    return applicable
  }
}

/** May be remembered: what is hidden is looked through each time. */
function isPulled({ first }: ApplicableRules): boolean {
  return first?.rule.allow.includes('pull') === true
}

function compile(rule: AccessRule, index: number, who: WhoNumber): Compiled {
  const { match, tags } = rule
  const isAll = match === '**'
  const beginning = beginningOf(match)
  const matches = isAll ? () => true : picomatch(match, { dot: true })
  return {
    index,
    rule,
    who,
    hasTags: tags.length > 0,
    isAbout: key => (key === undefined ? isAll : key.startsWith(beginning) && matches(key)),
    isAboutTag: tags.length === 0 ? () => true : picomatch([...tags], TAG_GLOB),
  }
}

function numberOfWho(who: Who, networks: NetworkTable, names: NameTable): WhoNumber {
  switch (who.kind) {
    case 'everybody':
      return EVERYBODY
    case 'anonymous':
      return ANONYMOUS
    case 'local':
      return LOCALS
    case 'network':
      return networks.numberOf(who.network)
    case 'account':
    case 'robot':
    case 'identity':
    case 'group':
    case 'provider group':
    case 'certificate':
      return names.numberOf(who)
  }
}

/** By the first that is about it and who asks, as far as that is known of nobody. */
function isForAll(rules: readonly Compiled[], key: RepositoryKey): boolean {
  for (const { rule, who, hasTags, isAbout } of rules) {
    if (hasTags || !isAbout(key)) continue
    // Whoever it is about, it takes it from somebody.
    if (!rule.allow.includes('pull')) return false
    if (NOBODY_KNOWN.has(who)) return true
  }
  return false
}

/** The asker's rules first: how many there are for others changes nothing. */
function findApplicable(
  whos: Whos,
  rules: readonly Compiled[],
  key: RepositoryKey | undefined,
): ApplicableRules {
  const withTags: Compiled[] = []
  for (const each of rules) {
    if (!whos.has(each.who) || !each.isAbout(key)) continue
    if (!each.hasTags) return { withTags, first: each }
    withTags.push(each)
  }
  return { withTags, first: undefined }
}

function createParty(
  whos: Whos,
  rules: readonly Compiled[],
  rulesFor: (key: RepositoryKey | undefined) => ApplicableRules,
): Party {
  const untagged = () => rules.filter(({ who, hasTags }) => !hasTags && whos.has(who))

  return {
    judge: ({ key, action, moves }) => judge(rulesFor(key), action, moves),
    mayListAnywhere: () => untagged().some(({ rule }) => rule.allow.includes('list')),
    isShown(key) {
      const allow = findApplicable(whos, rules, key).first?.rule.allow
      return allow !== undefined && allow.includes('list') && allow.includes('pull')
    },
    nextShown: key =>
      nextShown(
        untagged().map(({ rule }) => rule),
        key,
        findApplicable(whos, rules, key).first?.rule,
      ),
  }
}
