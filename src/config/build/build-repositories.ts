// The operator's `repositories` list → rules with the built-in ones at the end. What a pattern can
// lead to is judged by its first component, the host; what it does match is decided in
// registry/routing/repository-policies.ts.
import picomatch from 'picomatch'
import { LOCALHOST, type RegistryHost } from '../../oci/reference.ts'
import type { BuiltUpstreams } from './build-upstreams.ts'
import { canonicalHost, DOCKER_HUB, isLocalhost } from '../built-in.ts'
import type { RepositoryRule } from '../config.ts'
import { covers } from '../formats/globs.ts'
import type { FindingText, Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import { named } from '../schema/keys.ts'
import { withDefaults } from '../read-settings.ts'
import { RULE_KEYS } from '../schema/repository-schema.ts'
import type { Settings } from '../schema/schema.ts'
import { closest } from '../suggest.ts'

type RuleSettings = Settings['repositories'][number]

const EVERYTHING = '**'
const PLAIN_HOST = /^[a-z0-9.:-]+$/

export interface KnownNames extends BuiltUpstreams {
  readonly defaultRegistry: RegistryHost
  /** Names of this edge, which mean `localhost`. */
  readonly ownNames: readonly RegistryHost[]
}

export function buildRepositories(
  judge: Judge,
  settings: Settings,
  known: KnownNames,
): readonly RepositoryRule[] {
  const deletable = settings.storage.delete.enabled
  const allHosts = knowsAllHosts(settings, known)
  const matching = settings.repositories.map((rule, index) =>
    allHosts ? checkHosts(judge, ['repositories', index], { rule, known }) : true,
  )
  noteUnreached(judge, settings.repositories, matching)
  const written = settings.repositories.map(rule => {
    return { ...named(RULE_KEYS, rule), deletable: rule.delete ?? deletable }
  })
  return [...written, ...builtInRules(deletable)]
}

/** If not, an upstream was refused: that is one fault, and not a second one where it is named. */
export function knowsAllHosts(
  { upstreams }: Pick<Settings, 'upstreams'>,
  known: BuiltUpstreams,
): boolean {
  const any = known.anyUpstream === undefined ? 0 : 1
  return known.upstreams.length + any === Object.keys(upstreams).length
}

/** What holds without any configuration. */
function builtInRules(deletable: boolean | undefined): readonly RepositoryRule[] {
  const rules = [
    { match: `${LOCALHOST}/**`, push: 'store' },
    { match: EVERYTHING, push: 'deny' },
  ] as const
  return rules.map(rule => {
    const written = withDefaults(RULE_KEYS, { ...rule, immutable: [] })
    return { ...named(RULE_KEYS, written), deletable }
  })
}

interface RuleParts {
  readonly rule: RuleSettings
  readonly known: KnownNames
}

/** Returns false, and tells, where the rule matches nothing. */
function checkHosts(judge: Judge, path: Path, { rule, known }: RuleParts): boolean {
  const nothing = nothingMatched(rule.match, known)
  if (nothing !== undefined) {
    judge.note([...path, 'match'], nothing)
    return false
  }
  if (rule.push === 'deny' && rule.immutable.length > 0) {
    const message = 'changes nothing: nobody may push here, as push is deny unless it is set'
    judge.note([...path, 'immutable'], { severity: 'warning', message })
  }
  const hosts = hostsOfPattern(rule.match, known)
  if (hosts !== undefined && (rule.push === 'forward' || rule.push === 'queue')) {
    checkUpstreams(judge, [...path, 'push'], { mode: rule.push, hosts, known })
  }
  return true
}

/** Why a pattern over repositories matches none, as far as its host tells; else undefined. */
export function nothingMatched(match: string, known: KnownNames): FindingText | undefined {
  const host = hostPattern(match)
  if (host === undefined) return undefined
  const rest = match.slice(host.length)
  const meant = PLAIN_HOST.test(host) ? otherSpelling(host as RegistryHost, known) : undefined
  if (meant !== undefined) {
    const message = `matches nothing: ${host} is ${meant} in the names of repositories`
    return { message, suggestion: `${meant}${rest}` }
  }
  if (hostsOf(host, known)?.length === 0) {
    const near = closest(host, [LOCALHOST, ...known.upstreams.map(({ registry }) => registry)])
    const meant = /[.:]/.test(host) ? undefined : `${known.defaultRegistry}/${match}`
    const message = `matches nothing: ${host} is neither localhost nor under upstreams`
    return { message, suggestion: near === undefined ? meant : `${near}${rest}` }
  }
  if (host !== DOCKER_HUB || rest === '/**' || !/^\/[^/]*$/.test(rest)) return undefined
  return {
    severity: 'warning',
    message: `matches nothing: names of ${DOCKER_HUB} have two components`,
    suggestion: rest === '/*' ? `${host}/**` : `${host}/library${rest}`,
  }
}

/** The hosts that a pattern can lead to; undefined when it may be any. */
export function hostsOfPattern(
  match: string,
  known: KnownNames,
): readonly RegistryHost[] | undefined {
  const host = hostPattern(match)
  return host === undefined ? undefined : hostsOf(host, known)
}

/** The part of a pattern that is over the host; undefined when that cannot be told. */
function hostPattern(match: string): string | undefined {
  const [host = ''] = match.split('/', 1)
  const isNegated = host.startsWith('!') && !host.startsWith('!(')
  const isWhole = ['{}', '[]', '()'].every(
    ([open = '', close = '']) => host.split(open).length === host.split(close).length,
  )
  return host.includes('**') || isNegated || !isWhole ? undefined : host
}

/** Under which name the repositories of a host are known here, when it is another one. */
function otherSpelling(
  host: RegistryHost,
  { ownNames, upstreams }: KnownNames,
): RegistryHost | undefined {
  const virtual = upstreams.find(({ virtualHosts }) => virtualHosts.includes(host))
  const isOwn = isLocalhost(host) || ownNames.includes(host)
  const name = isOwn ? LOCALHOST : (virtual?.registry ?? canonicalHost(host))
  return name === host ? undefined : name
}

/** Those that the pattern matches; undefined when it may be any that a client names. */
function hostsOf(pattern: string, known: KnownNames): readonly RegistryHost[] | undefined {
  const all = [LOCALHOST, ...known.upstreams.map(({ registry }) => registry)]
  const matches = picomatch(pattern, { dot: true })
  const hosts = all.filter(host => matches(host))
  return known.anyUpstream === undefined || (pattern === LOCALHOST && hosts.length === 1)
    ? hosts
    : undefined
}

function checkUpstreams(
  judge: Judge,
  path: Path,
  parts: {
    readonly mode: 'forward' | 'queue'
    readonly hosts: readonly RegistryHost[]
    readonly known: KnownNames
  },
): void {
  const { mode, hosts, known } = parts
  const upstreams = known.upstreams.filter(({ registry }) => hosts.includes(registry))
  if (upstreams.length === 0) {
    judge.note(path, { message: 'localhost has no upstream', suggestion: 'store' })
  } else if (upstreams.every(({ freshness }) => freshness.offline)) {
    const names = upstreams.map(({ registry }) => registry).join(', ')
    const message =
      mode === 'queue'
        ? `${names} is offline: what is pushed waits here until that is changed`
        : `${names} is offline: every push is refused`
    judge.note(path, { severity: 'warning', message })
  }
}

/**
 * @param matching which of the rules match anything: of the others that was told, and they keep
 * none from being reached
 */
function noteUnreached(
  judge: Judge,
  rules: readonly RuleSettings[],
  matching: readonly boolean[],
): void {
  for (const [index, { match }] of rules.entries()) {
    const earlier = rules
      .slice(0, index)
      .findIndex((rule, before) => matching[before] && covers(rule.match, match))
    if (earlier === -1 || !matching[index]) continue
    const before = judge.indexAsWritten(['repositories'], earlier)
    judge.note(['repositories', index, 'match'], {
      severity: 'warning',
      message: `is never reached: repositories[${before}] matches all of it`,
    })
  }
}
