// What somebody is called, in rules of access, in groups, in tokens and in the audit log: one form
// for each kind, read and written here and nowhere else. Whether there is anybody of that name is
// for whoever keeps them to say.
import { formatNetwork, type Network, readNetwork } from './network.ts'

/** Who has logged in. */
export type LoginName =
  /** By the file of accounts, or as somebody else's token server calls them. */
  | { readonly kind: 'account'; readonly name: string }
  /** A program, by a secret that this edge made. */
  | { readonly kind: 'robot'; readonly name: string }
  /** As an identity provider calls them. */
  | { readonly kind: 'identity'; readonly provider: string; readonly name: string }

export type GroupName =
  /** Of the configuration. */
  | { readonly kind: 'group'; readonly name: string }
  /** Of an identity provider; without `group`, all whom it knows: with a public one, anybody. */
  | { readonly kind: 'provider group'; readonly provider: string; readonly group?: string }

/** Who is told from others by a name. */
export type Named =
  | LoginName
  | GroupName
  /** Who shows a certificate with this name. */
  | { readonly kind: 'certificate'; readonly name: string }

/** Whom a rule may be about. Plain values, which are sent to other threads. */
export type Who =
  | Named
  /** Who calls from there. */
  | { readonly kind: 'network'; readonly network: Network }
  /** A program of this machine (local-program.ts). */
  | { readonly kind: 'local' }
  /** `anonymous`: who has not logged in and shows no certificate. */
  | { readonly kind: 'everybody' | 'anonymous' }

/** Who did something, for the audit log. */
export type Name =
  | Who
  /** A program of this machine, of the user with this number. */
  | { readonly kind: 'user'; readonly uid: number }
  /** `operator`: whoever may use the socket. `nobody`: who showed what is nobody's. */
  | { readonly kind: 'operator' | 'nobody' }

const EVERYBODY = '*'
const GROUP = 'group:'
const ROBOT = 'robot:'
const IDENTITY = 'oidc:'
const CERTIFICATE = 'cert:'
const NETWORK = 'net:'
const USER = 'uid:'

/** As it is written. No two are written alike. */
export function formatName(name: Name): string {
  switch (name.kind) {
    case 'everybody':
      return EVERYBODY
    case 'anonymous':
    case 'local':
    case 'operator':
    case 'nobody':
      return name.kind
    case 'account':
      return name.name
    case 'robot':
      return `${ROBOT}${name.name}`
    case 'identity':
      return `${IDENTITY}${name.provider}:${name.name}`
    case 'group':
    case 'provider group':
      return `${GROUP}${formatGroup(name)}`
    case 'certificate':
      return `${CERTIFICATE}${name.name}`
    case 'network':
      return `${NETWORK}${formatNetwork(name.network)}`
    case 'user':
      return `${USER}${name.uid}`
  }
}

/** As it stands behind `group:`, in `auth.groups`, and in tokens. */
export function formatGroup(group: GroupName): string {
  if (group.kind === 'group') return group.name
  const { provider, group: named } = group
  return `${IDENTITY}${provider}${named === undefined ? '' : `:${named}`}`
}

/** The inverse of it. */
export function parseGroup(text: string): GroupName {
  const [, provider, group] = /^oidc:([^:]*)(?::(.*))?$/s.exec(text) ?? []
  if (provider === undefined) return { kind: 'group', name: text }
  return { kind: 'provider group', provider, ...(group !== undefined && { group }) }
}

/** Of a name that somebody has logged in by, as `formatName` writes it. */
export function parseLoginName(text: string): LoginName {
  if (text.startsWith(ROBOT)) return { kind: 'robot', name: text.slice(ROBOT.length) }
  const [, provider, name] = /^oidc:([^:]*):(.*)$/s.exec(text) ?? []
  if (provider === undefined || name === undefined) return { kind: 'account', name: text }
  return { kind: 'identity', provider, name }
}

export interface KindOfWho {
  readonly example: string
  /** Who the example is, in the Markdown of documents. */
  readonly meaning: string
  /** Does what is written tell of one who calls what else there is to know, for a trial? */
  readonly canCall: boolean
  /** What shows the name that tells them from others; undefined: they have none. */
  readonly toldBy: 'login' | 'certificate' | undefined
}

/** Of each kind that rules may be about, for documents, helps and errors, in their order. */
export const KINDS_OF_WHO: Readonly<Record<Who['kind'], KindOfWho>> = {
  everybody: { example: EVERYBODY, meaning: 'everybody', canCall: false, toldBy: undefined },
  account: {
    example: 'alice',
    meaning: 'who has logged in by that name',
    canCall: true,
    toldBy: 'login',
  },
  group: {
    example: `${GROUP}ci`,
    meaning: 'who has logged in as one that is in `auth.groups.ci`',
    canCall: false,
    toldBy: 'login',
  },
  robot: { example: `${ROBOT}ci`, meaning: 'a robot', canCall: true, toldBy: 'login' },
  identity: {
    example: `${IDENTITY}github:alice`,
    meaning:
      'who shows a token of the provider `github` of `auth.oidc` with that name, as its tokens have it',
    canCall: true,
    toldBy: 'login',
  },
  'provider group': {
    example: `${GROUP}${IDENTITY}github:devs`,
    meaning: 'who shows one with that group (without `:devs`, any token of that provider)',
    canCall: true,
    toldBy: 'login',
  },
  certificate: {
    example: `${CERTIFICATE}build-7`,
    meaning: 'who shows a certificate with that name that `http.tls.clientcas` vouches for',
    canCall: true,
    toldBy: 'certificate',
  },
  network: {
    example: `${NETWORK}10.0.0.0/8`,
    meaning: 'who calls from that network, IPv4 or IPv6',
    canCall: false,
    toldBy: undefined,
  },
  local: {
    example: 'local',
    meaning:
      'programs on the machine of the edge that call it on a loopback address and name, told apart as for `http.localpush`',
    canCall: true,
    toldBy: undefined,
  },
  anonymous: {
    example: 'anonymous',
    meaning: 'who has not logged in and shows no certificate',
    canCall: true,
    toldBy: undefined,
  },
}

export const EXAMPLES_OF_WHO: readonly string[] = Object.values(KINDS_OF_WHO).map(
  ({ example }) => example,
)

export type ReadWho =
  | { readonly kind: 'ok'; readonly value: Who }
  | { readonly kind: 'fault'; readonly message: string; readonly suggestion?: string }

/** What an operator wrote. */
export function readWho(text: string): ReadWho {
  if (text === EVERYBODY) return ok({ kind: 'everybody' })
  if (text === 'anonymous' || text === 'local') return ok({ kind: text })
  for (const [prefix, read] of FORMS)
    if (text.startsWith(prefix)) return read(text.slice(prefix.length))
  const wrong = whyNoAccount(text)
  if (wrong === undefined) return ok({ kind: 'account', name: text })
  return fault(`it is one of ${EXAMPLES_OF_WHO.join(', ')}; ${wrong}`)
}

/** Each reads what stands behind its beginning. */
const FORMS: readonly (readonly [prefix: string, read: (rest: string) => ReadWho])[] = [
  [GROUP, readGroup],
  [ROBOT, readRobot],
  [IDENTITY, readIdentity],
  [CERTIFICATE, readCertificate],
  [NETWORK, readNet],
]

function readGroup(name: string): ReadWho {
  return name === '' ? fault('behind group: stands the name of a group') : ok(parseGroup(name))
}

const ROBOT_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/

/** Without the beginning by which rules call it one. */
export function isRobotName(name: string): boolean {
  return ROBOT_NAME.test(name)
}

function readRobot(name: string): ReadWho {
  if (isRobotName(name)) return ok({ kind: 'robot', name })
  return fault('behind robot: stands the name of a robot: a-z, 0-9, dots, dashes and underscores')
}

function readIdentity(rest: string): ReadWho {
  const [, provider, name] = /^([^:]+):([\x21-\x7e]+)$/.exec(rest) ?? []
  if (provider === undefined || name === undefined)
    return fault(
      'behind oidc: stands the name of a provider of auth.oidc, a colon, and a name as its tokens have it, in plain characters without spaces',
    )
  return ok({ kind: 'identity', provider, name })
}

/** As it stands in a certificate; those with other characters are not taken from one. */
function readCertificate(name: string): ReadWho {
  if (/^[\x20-\x7e]{1,255}$/.test(name)) return ok({ kind: 'certificate', name })
  return fault('behind cert: stands a name, as clients have it in their certificates')
}

function readNet(text: string): ReadWho {
  const read = readNetwork(text)
  if (read.kind === 'network') return ok({ kind: 'network', network: read.network })
  if (read.kind === 'none')
    return fault('behind net: stands an address, or a network such as 10.0.0.0/8')
  const suggestion = formatName({ kind: 'network', network: read.network })
  return fault('a network is written by its first address', suggestion)
}

function ok(value: Who): ReadWho {
  return { kind: 'ok', value }
}

function fault(message: string, suggestion?: string): ReadWho {
  return { kind: 'fault', message, ...(suggestion !== undefined && { suggestion }) }
}

/** As long as `htpasswd` takes. */
const NAME_MAX_BYTES = 255
/** Also the mark of the order of bytes that some editors put first, which nobody sees. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
/** What rules call somebody else, who might be taken for an account. */
const WORDS_OF_RULES: ReadonlySet<string> = new Set([EVERYBODY, 'anonymous', 'local'])

/** Why no account can be called so; undefined: it is a name for one. */
export function whyNoAccount(name: string): string | undefined {
  if (name === '') return 'a name has at least one character'
  if (Buffer.byteLength(name) > NAME_MAX_BYTES) return `a name has at most ${NAME_MAX_BYTES} bytes`
  if (name.includes(':')) return 'a name has no colon'
  if (UNSEEN.test(name)) return 'a name has no characters that nobody sees'
  if (name !== name.trim() || name.startsWith('#'))
    return 'a name begins and ends with no space, and begins with no #'
  if (WORDS_OF_RULES.has(name)) return 'rules of access call somebody else so'
  return undefined
}

/** What the audit log calls others than accounts. */
const WORDS_OF_AUDIT: ReadonlySet<string> = new Set(['operator', 'nobody'])

/** An account that is called so is in the audit log what somebody else is. */
export function isWordOfAudit(name: string): boolean {
  return WORDS_OF_AUDIT.has(name)
}

/** The same of one that is to be made; one that is there already goes on. */
export function whyNoNewAccount(name: string): string | undefined {
  return whyNoAccount(name) ?? (isWordOfAudit(name) ? 'the audit log calls others so' : undefined)
}

/**
 * Would an account of this name, which somebody else gives out, be taken for one whom this edge
 * vouches for, or for what its audit log calls others?
 */
export function isReserved(name: string): boolean {
  if (WORDS_OF_RULES.has(name) || isWordOfAudit(name)) return true
  return name.startsWith(USER) || FORMS.some(([prefix]) => name.startsWith(prefix))
}

/** Has somebody of that name logged in? */
export function isByLogin(who: Who): who is LoginName | GroupName {
  return KINDS_OF_WHO[who.kind].toldBy === 'login'
}

/** Is it one who is told from others by a name? */
export function isNamed(who: Who): who is Named {
  return KINDS_OF_WHO[who.kind].toldBy !== undefined
}

/** Somebody, or somebody of a group, who is told from whoever else comes. */
export function isSomebody(who: Who): boolean {
  return isNamed(who) && (who.kind !== 'provider group' || who.group !== undefined)
}
