// Whom a rule of access is about, judged: nobody, as far as the configuration tells, or more than
// its author may think.
import {
  formatName,
  type GroupName,
  isByLogin,
  type LoginName,
  type Who,
} from '../../access/names.ts'
import { hasLoopback } from '../../access/network.ts'
import type { AuthConfig, HttpConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'
import { closest } from '../suggest.ts'

const WRITES = ['push', 'delete'] as const

interface About {
  readonly rule: Settings['access'][number]
  readonly known: {
    readonly localPush: HttpConfig['localPush']
    /** Undefined also where it is faulty. */
    readonly auth: AuthConfig | undefined
  }
  readonly settings: Settings
}

/** `path`: of `who`. */
export function judgeWho(judge: Judge, path: Path, about: About): void {
  noteLetIn(judge, path, about)
  noteNobody(judge, path, about)
}

/** Why programs of the machine are nobody to rules. */
const NO_LOCALS: Readonly<Partial<Record<HttpConfig['localPush'], string>>> = {
  'set to false': 'is nobody: http.localpush is false',
  'public name':
    'is nobody: with http.host, programs on this machine are not told from what is forwarded to it, unless http.localpush is true',
  proxy:
    'is nobody: with loopback in http.trustedproxies, programs on this machine are not told from what is forwarded to it, unless http.localpush is true',
  certificate:
    'is nobody: with a certificate for other names, programs on this machine are not told from what is forwarded to it, unless http.localpush is true',
}

function noteLetIn(judge: Judge, path: Path, { rule, known }: About): void {
  const { who, allow } = rule
  const warn = (message: string) => judge.note(path, { severity: 'warning', message })
  const noLocals = NO_LOCALS[known.localPush]
  if (who.kind === 'local' && noLocals !== undefined) warn(noLocals)
  const writes = WRITES.filter(right => allow.includes(right)).join(' and ')
  if (writes === '') return
  if (who.kind === 'everybody' || who.kind === 'anonymous')
    warn(`whoever reaches this edge may ${writes} there`)
  else if (who.kind === 'network' && hasLoopback(who.network))
    warn(
      `from loopback comes what proxies and forwarders on this machine pass on, too, and may ${writes} there; its own programs are local`,
    )
}

const HERE: readonly string[] = ['anonymous', 'local']

/** Of a rule about somebody: is there one? */
function noteNobody(
  judge: Judge,
  path: Path,
  { rule: { who }, known: { auth }, settings }: About,
): void {
  if (isByLogin(who) && settings.auth === undefined) {
    const written = formatName(who)
    const message = NOT_WITHOUT_AUTH[who.kind](written)
    return judge.note(path, { message, suggestion: closest(written, HERE) })
  }
  const wrong = whyNobody(who, auth, settings.http)
  if (wrong !== undefined) judge.note(path, { severity: 'warning', ...wrong })
}

/** Of those by login, without `auth`. */
const NOT_WITHOUT_AUTH = {
  account: (written: string) =>
    `there are no accounts without auth.htpasswd, and ${written} would be one`,
  group: (written: string) => `there are no groups without auth, and ${written} would be one`,
  robot: (written: string) =>
    `there are no robots without auth, and ${written} would be one: they log in where auth.htpasswd, auth.oidc or auth.token is set`,
  identity: (written: string) =>
    `there are no identity providers without auth.oidc, and ${written} would be of one`,
  'provider group': (written: string) =>
    `there are no identity providers without auth.oidc, and ${written} would be of one`,
} as const

interface Why {
  readonly message: string
  readonly suggestion?: string | undefined
}

/** Undefined: there is somebody of that name, or it takes the running server to tell. */
function whyNobody(
  who: Who,
  auth: AuthConfig | undefined,
  http: Settings['http'],
): Why | undefined {
  switch (who.kind) {
    case 'everybody':
    case 'anonymous':
    case 'local':
    case 'network':
    case 'robot':
      return undefined
    case 'certificate':
      return whyNoCertificate(http)
    case 'identity':
    case 'provider group':
      return auth && whyNoIdentity(who, auth)
    case 'account':
      return auth && whyNoAccount(who.name, auth)
    case 'group': {
      const names = auth && Object.keys(auth.groups)
      if (names === undefined || names.includes(who.name)) return undefined
      const near = closest(who.name, names)
      const suggestion = near && formatName({ ...who, name: near })
      return { message: 'is nobody: not under auth.groups', suggestion }
    }
  }
}

function whyNoCertificate({ tls }: Settings['http']): Why | undefined {
  if (tls === undefined)
    return { message: 'is nobody: certificates of clients come with http.tls alone' }
  if (tls.clientcas.length > 0) return undefined
  return {
    message: 'is nobody: without http.tls.clientcas no certificate of a client is looked at',
  }
}

function whyNoAccount(name: string, auth: AuthConfig): Why | undefined {
  // Whom a token server knows, it alone says.
  if (auth.token !== undefined || auth.names.includes(name)) return undefined
  const suggestion = closest(name, [...auth.names, ...HERE])
  return { message: 'is nobody: not in the file of auth.htpasswd', suggestion }
}

/** Of a name that rules use: why nobody has it. Undefined: somebody may. */
function whyNoIdentity(
  who: Extract<LoginName | GroupName, { provider: string }>,
  { providers }: Pick<AuthConfig, 'providers'>,
): Why | undefined {
  const names = providers.map(each => each.name)
  if (!names.includes(who.provider)) {
    const near = closest(who.provider, names)
    const suggestion = near && formatName({ ...who, provider: near })
    return { message: 'is nobody: there is no such provider under auth.oidc', suggestion }
  }
  if (who.kind !== 'provider group' || who.group === undefined) return undefined
  if (who.group === '') return { message: 'is nobody: a name stands behind the second colon' }
  const provider = providers.find(({ name }) => name === who.provider)
  if (provider?.groups !== undefined) return undefined
  const at = `auth.oidc.${who.provider}.groups`
  return { message: `is nobody: ${at} does not say which claim gives groups` }
}
