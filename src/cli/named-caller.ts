// Whom a word on the command line names, as rules of access see them: an account, a robot, a
// certificate, an address. Whether there is anybody of that name is told as far as it is known
// without the running server.
import { type SharedLoopback, whyLocalPushOff } from '../access/local-push.ts'
import {
  formatGroup,
  formatName,
  type GroupName,
  type LoginName,
  readWho,
} from '../access/names.ts'
import { readNetwork } from '../access/network.ts'
import type { Identity } from '../access/name-table.ts'
import { type Caller, ELSEWHERE } from '../access/rulebook.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import { closest } from '../config/suggest.ts'
import { CliError, EXIT_CODES } from './context.ts'

/** @throws CliError usage */
export function callerOf(who: string, config: Config, shared: SharedLoopback | undefined): Caller {
  const network = readNetwork(who)
  const isPlace = network.kind !== 'none' && config.auth?.names.includes(who) !== true
  if (isPlace && !who.includes('/'))
    return { address: network.network.address, isLocal: () => false }
  const caller = isPlace ? undefined : namedCaller(who, config, shared)
  if (caller !== undefined) return caller
  const near = closest(who, config.auth?.names ?? [])
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`
  const message = `${who} is nobody here${hint}: name an account, cert: and a name, an address such as 10.0.0.7, local, or anonymous`
  throw new CliError(EXIT_CODES.usage, message)
}

/** Undefined: nobody is called so, as far as that is known without the running server. */
function namedCaller(
  text: string,
  { auth, http }: Config,
  shared: SharedLoopback | undefined,
): Caller | undefined {
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
    default: {
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
