// `access` → the rules as they are obeyed (access/rulebook.ts), and what cannot be meant: a rule
// that is never reached or matches nothing, one that lets in more than it says, and one that allows
// what the rest of the configuration refuses.
import { formatName, type Who } from '../../access/names.ts'
import { isWithin } from '../../access/network.ts'
import { beginningOf } from '../../access/pattern.ts'
import type { Right } from '../../access/rule.ts'
import { ACCESS_KEYS } from '../schema/access-schema.ts'
import {
  hostsOfPattern,
  type KnownNames,
  knowsAllHosts,
  nothingMatched,
} from './build-repositories.ts'
import type { AuthConfig, Config, HttpConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import { covers } from '../formats/globs.ts'
import type { Judge } from '../judge.ts'
import { judgeWho } from './judge-who.ts'
import { named } from '../schema/keys.ts'
import { LOCALHOST } from '../../oci/reference.ts'
import type { Settings } from '../schema/schema.ts'

type RuleSettings = Settings['access'][number]

export interface KnownToAccess extends KnownNames {
  readonly localPush: HttpConfig['localPush']
  /** Undefined also where it is faulty. */
  readonly auth: AuthConfig | undefined
}

export function buildAccess(
  judge: Judge,
  settings: Settings,
  known: KnownToAccess,
): Pick<Config, 'access' | 'accessPlaces'> {
  const rules = settings.access
  const at = (index: number): Path => ['access', index]
  // One that could not be read is left out, and those behind it stand elsewhere than they were
  // written.
  const isWhole = !judge.isWritten(at(rules.length))
  if (isWhole) checkRules(judge, settings, known)
  return {
    access: rules.map(rule => named(ACCESS_KEYS, rule)),
    accessPlaces: rules.map((_, index) => judge.placeOf(at(index))),
  }
}

function checkRules(judge: Judge, settings: Settings, known: KnownToAccess): void {
  const rules = settings.access
  const at = (index: number): Path => ['access', index]
  const matching = rules.map((rule, index) => {
    const message = otherThanMeant(rule.match)
    if (message !== undefined) judge.note([...at(index), 'match'], { message })
    if (message !== undefined || !knowsAllHosts(settings, known)) return message === undefined
    const nothing = nothingMatched(rule.match, known)
    if (nothing !== undefined) judge.note([...at(index), 'match'], nothing)
    return nothing === undefined
  })
  for (const [index, rule] of rules.entries()) {
    if (!judge.isWritten([...at(index), 'allow'])) {
      const message = 'is missing: say what is allowed, or [] for nothing'
      judge.note([...at(index), 'allow'], { message, suggestion: '["pull"]' })
    }
    judgeWho(judge, [...at(index), 'who'], { rule, known, settings })
    noteNoDeny(judge, [...at(index), 'who'], { rules, index })
    if (settings.auth !== undefined)
      noteAnonymousAlone(judge, [...at(index), 'who'], { rules, index })
    const reads = READS.filter(right => rule.allow.includes(right)).join(' and ')
    if (rule.tags.length > 0 && reads !== '') {
      const message = `a rule with tags is about pushes and deletes: one without has to allow ${reads}`
      judge.note([...at(index), 'allow'], { severity: 'warning', message })
    }
    if (allowsPushAlone(rule))
      judge.note([...at(index), 'allow'], { severity: 'warning', message: PUSH_TELLS })
    if (rule.allow.includes('push') && !mayTakePushes(rule.match, settings, known)) {
      const message = 'push changes nothing: repositories refuses all pushes there'
      judge.note([...at(index), 'allow'], { severity: 'warning', message })
    }
    const hasAccounts = settings.auth !== undefined
    noteUnreached(judge, at(index), { rules, matching, index, hasAccounts })
  }
  const isSaid = rules.every((_, index) => judge.isWritten([...at(index), 'allow']))
  if (isSaid) noteClosed(judge, rules)
}

/** By a rule with tags nobody pulls, and one about local keeps nothing from anybody. */
function allowsPushAlone({ who, tags, allow }: RuleSettings): boolean {
  if (who.kind === 'local' || tags.length > 0) return false
  return allow.includes('push') && !allow.includes('pull')
}

const READS = ['pull', 'list'] as const
const PUSH_TELLS =
  'whoever may push and not pull there learns all the same which blobs are there: a manifest is taken where all that it lists is'

/** `**` that is not alone between slashes, or between the signs of a choice. */
const GLUED = /[^/{(,|]\*\*|\*\*[^/})|,]/
const GLUED_END = /^([^*]*[^*/{(,|])\*\*$/

/** Why a pattern leaves out what its author would think that it denies. */
function otherThanMeant(pattern: string): string | undefined {
  const [, before] = GLUED_END.exec(pattern) ?? []
  if (before !== undefined)
    return `** crosses slashes only alone between them: write two rules, with ${before}* and ${before}*/**`
  if (GLUED.test(pattern)) return '** crosses slashes only alone between them'
  if (hasBareBar(pattern)) return 'has a | outside of brackets: write a rule for each, or {…,…}'
  return undefined
}

function hasBareBar(pattern: string): boolean {
  let depth = 0
  for (const character of pattern) {
    if (character === '(') depth += 1
    else if (character === ')') depth -= 1
    else if (character === '|' && depth === 0) return true
  }
  return false
}

/**
 * Who is local has shown it, and whoever has not is none of them, wherever it runs: by another
 * address, name or header the same program is whoever its address says, and gets what the next
 * rules allow.
 */
function noteNoDeny(
  judge: Judge,
  path: Path,
  { rules, index }: { readonly rules: readonly RuleSettings[]; readonly index: number },
): void {
  const rule = rules[index]
  if (rule?.who.kind !== 'local') return
  const told = new Set<string>()
  for (const [later, other] of rules.entries()) {
    if (later <= index || other.who.kind === 'local' || !mayMeet(rule.match, other.match)) continue
    const rights = other.allow.filter(
      right => !rule.allow.includes(right) && !told.has(right) && isAboutTags(rule, other, right),
    )
    if (rights.length === 0) continue
    for (const right of rights) told.add(right)
    const allowing = judge.indexAsWritten(['access'], later)
    const message = `keeps no program on this machine from ${rights.join(' and ')}: access[${allowing}] allows it, and one that calls by another address or name, or with a header of its own, is not local; deny it to "*", behind the rules for those who may`
    judge.note(path, { severity: 'warning', message })
  }
}

/** Who logs in is not anonymous any more, and would get less for it, whoever it is. */
function noteAnonymousAlone(
  judge: Judge,
  path: Path,
  { rules, index }: { readonly rules: readonly RuleSettings[]; readonly index: number },
): void {
  const rule = rules[index]
  if (rule?.who.kind !== 'anonymous' || !isForPulls(rule)) return
  const isForOthers = rules.some(
    each => isForPulls(each) && each.who.kind !== 'anonymous' && mayMeet(rule.match, each.match),
  )
  if (isForOthers) return
  const message =
    'nobody who has logged in gets pull by it: anonymous is who has not; a rule about "*" is about both'
  judge.note(path, { severity: 'warning', message })
}

/** A rule with tags decides no pulls and lists. */
function isAboutTags(rule: RuleSettings, other: RuleSettings, right: Right): boolean {
  const isWrite = right === 'push' || right === 'delete'
  return isWrite || (rule.tags.length === 0 && other.tags.length === 0)
}

/** May some repository match both? Said too often rather than too seldom. */
function mayMeet(one: string, other: string): boolean {
  const [a, b] = [beginningOf(one), beginningOf(other)]
  return a.startsWith(b) || b.startsWith(a)
}

/** May anything be pushed where the pattern matches, by any rule of `repositories`? */
function mayTakePushes(pattern: string, { repositories }: Settings, known: KnownNames): boolean {
  const hosts = hostsOfPattern(pattern, known)
  if (hosts === undefined || hosts.includes(LOCALHOST)) return true
  return repositories.some(({ match, push }) => {
    if (push === 'deny') return false
    const taken = hostsOfPattern(match, known)
    return taken === undefined || taken.some(host => hosts.includes(host))
  })
}

interface RuleAmongOthers {
  readonly rules: readonly RuleSettings[]
  /** Of those that match nothing that was told, and they keep none from being reached. */
  readonly matching: readonly boolean[]
  readonly index: number
  readonly hasAccounts: boolean
}

function noteUnreached(judge: Judge, path: Path, among: RuleAmongOthers): void {
  const { rules, matching, index, hasAccounts } = among
  const rule = rules[index]
  if (rule === undefined || !matching[index]) return
  const earlier = rules
    .slice(0, index)
    .findIndex((each, before) => matching[before] && isAboutAllOf(each, rule, hasAccounts))
  if (earlier === -1) return
  const before = judge.indexAsWritten(['access'], earlier)
  const message = `is never reached: access[${before}] is about all of it; put the narrower one first`
  judge.note(path, { severity: 'warning', message })
}

/** A rule with tags leaves some to the next. */
function isAboutAllOf(earlier: RuleSettings, later: RuleSettings, hasAccounts: boolean): boolean {
  return (
    earlier.tags.length === 0 &&
    isWhoever(earlier.who, later.who, hasAccounts) &&
    covers(earlier.match, later.match)
  )
}

/** Is everybody that `narrow` is about one of `wide`? Not said of groups, whose members change. */
function isWhoever(wide: Who, narrow: Who, hasAccounts: boolean): boolean {
  switch (wide.kind) {
    case 'everybody':
      return true
    case 'anonymous':
      return narrow.kind !== 'certificate' && (!hasAccounts || narrow.kind === 'anonymous')
    case 'local':
      return narrow.kind === 'local'
    case 'network':
      return narrow.kind === 'network' && isWithin(narrow.network, wide.network)
    default:
      return formatName(narrow) === formatName(wide)
  }
}

function isForPulls({ allow, tags }: RuleSettings): boolean {
  return tags.length === 0 && allow.includes('pull')
}

function noteClosed(judge: Judge, rules: readonly RuleSettings[]): void {
  if (rules.length === 0 || rules.some(isForPulls)) return
  const message = 'no rule allows pull: nobody gets anything'
  judge.note(['access'], { severity: 'warning', message })
}
