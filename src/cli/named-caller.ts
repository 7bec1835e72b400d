// Whom a word on the command line names, as rules of access see them: an account, a robot, a
// certificate, an address. Whether there is anybody of that name is told as far as it is known
// without the running server.
import { type SharedLoopback, whyLocalPushOff } from '../access/local-push.ts'
import {
  formatGroup,
  formatName,
  type GroupName,
  type KindOfWho,
  KINDS_OF_WHO,
  type LoginName,
  parseLoginName,
  readWho,
} from '../access/names.ts'
import { readNetwork } from '../access/network.ts'
import type { Identity } from '../access/name-table.ts'
import type { AccessRule } from '../access/rule.ts'
import { type Asker, ELSEWHERE } from '../access/rulebook.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import { closest } from '../config/suggest.ts'
import { CliError, EXIT_CODES } from './context.ts'

/** Whom a word can name who calls, one of each kind. */
export const CALLERS: readonly Pick<KindOfWho, 'example' | 'meaning'>[] = [
  ...Object.values(KINDS_OF_WHO).filter(({ canCall }) => canCall),
  { example: '10.0.0.7', meaning: 'who calls from that address' },
]

/** @throws CliError usage */
export function askerOf(who: string, config: Config, shared: SharedLoopback | undefined): Asker {
  const network = readNetwork(who)
  const isPlace = network.kind !== 'none' && config.auth?.names.includes(who) !== true
  if (isPlace && !who.includes('/'))
    return { address: network.network.address, isLocal: () => false }
  const asker = isPlace ? undefined : namedAsker(who, config, shared)
  if (asker !== undefined) return asker
  const why = isPlace ? undefined : whyNobody(who, config.auth)
  const kinds = CALLERS.map(({ example }) => example).join(', ')
  const message = why ?? `${who} is nobody here: it is one of ${kinds}`
  throw new CliError(EXIT_CODES.usage, message)
}

/** Of a name that nobody has who calls; undefined: nothing more is known of it. */
function whyNobody(text: string, auth: AuthConfig | undefined): string | undefined {
  const read = readWho(text)
  if (read.kind === 'fault' || auth === undefined) return undefined
  const who = read.value
  if (who.kind === 'group') return whyNoMember(who.name, auth.groups)
  if (who.kind !== 'account' || auth.file === undefined) return undefined
  const near = closest(text, [...auth.names, 'anonymous', 'local'])
  return `${text}: no such account in ${auth.file.path}${orMean(near)}`
}

/** Enough to go on with, of a group that may have hundreds. */
const MEMBERS_TOLD = 3

/** Rules may be about each of its members by another name as well, so that no two are alike. */
function whyNoMember(group: string, groups: AuthConfig['groups']): string {
  const named = (name: string) => formatName({ kind: 'group', name })
  const members = Object.hasOwn(groups, group) ? groups[group] : undefined
  if (members === undefined) {
    const near = closest(group, Object.keys(groups))
    return `${named(group)}: no such group under auth.groups${orMean(near && named(near))}`
  }
  if (members.length === 0) return `${named(group)} has no members: nobody is in it`
  const told = members.slice(0, MEMBERS_TOLD).join(', ')
  const more = members.length > MEMBERS_TOLD ? `, … (${members.length} in all)` : ''
  return `${named(group)} is a group: name one of its members, ${told}${more}`
}

function orMean(near: string | undefined): string {
  return near === undefined ? '' : ` (did you mean ${near}?)`
}

/** Undefined: nobody is called so, as far as that is known without the running server. */
function namedAsker(
  text: string,
  { auth, http }: Config,
  shared: SharedLoopback | undefined,
): Asker | undefined {
  const read = readWho(text)
  if (read.kind === 'fault') return undefined
  const who = read.value
  const somewhere = { address: ELSEWHERE, isLocal: () => false } as const
  switch (who.kind) {
    case 'anonymous':
      return somewhere
    case 'local': {
      const mayBeLocal = whyLocalPushOff(http.localPush, shared) === undefined
      return { address: '127.0.0.1', isLocal: () => mayBeLocal }
    }
    case 'certificate':
      return { ...somewhere, certificate: [who.name] }
    case 'everybody':
    case 'network':
      return undefined
    case 'account':
    case 'robot':
    case 'identity':
    case 'group':
    case 'provider group': {
      const account = auth && accountOf(who, auth)
      return account && { ...somewhere, account }
    }
  }
}

/** Of a group of a provider: somebody of whom that group alone is known. */
function accountOf(who: LoginName | GroupName, auth: AuthConfig): Identity | undefined {
  const name = formatName(who)
  switch (who.kind) {
    case 'robot':
      return { name }
    case 'account':
      // Whom there is, a token server alone knows.
      return auth.token !== undefined || auth.names.includes(name) ? { name } : undefined
    case 'group':
      return undefined
    case 'identity':
    case 'provider group': {
      const { provider } = who
      if (!auth.providers.some(each => each.name === provider)) return undefined
      const any = formatGroup({ kind: 'provider group', provider })
      if (who.kind === 'identity') return { name, groups: [any] }
      const nobody = formatName({ kind: 'identity', provider, name: '' })
      return { name: nobody, groups: [any, formatGroup(who)] }
    }
  }
}

/**
 * The same, where its provider says that it is in these groups.
 * @throws CliError usage, where no provider says anything of it
 */
export function inGroups(asker: Asker, groups: readonly string[]): Asker {
  if (groups.length === 0) return asker
  const provider = providerOf(asker)
  if (asker.account === undefined || provider === undefined) {
    const message = '--group is for oidc:PROVIDER:NAME: groups of others are known here'
    throw new CliError(EXIT_CODES.usage, message)
  }
  const more = groups.map(group => formatGroup({ kind: 'provider group', provider, group }))
  const { name, groups: known = [] } = asker.account
  return { ...asker, account: { name, groups: [...known, ...more] } }
}

/** Those that rules are about, and that it may be in where nobody has said any. */
export function groupsToName(asker: Asker, rules: readonly AccessRule[]): readonly string[] {
  const provider = providerOf(asker)
  if (provider === undefined || (asker.account?.groups?.length ?? 0) > 1) return []
  const named = rules.flatMap(({ who }) =>
    who.kind === 'provider group' && who.provider === provider && who.group !== undefined
      ? [who.group]
      : [],
  )
  return [...new Set(named)]
}

/** Of one whom a provider calls by a name; of a group alone nobody is known. */
function providerOf({ account }: Asker): string | undefined {
  const name = account && parseLoginName(account.name)
  return name?.kind === 'identity' && name.name !== '' ? name.provider : undefined
}
