// `auth` → who may log in, by a file of accounts or an identity provider, judged while an operator
// reads the answer: what is wrong in the file, by line, and names that nobody has.
import { parseHtpasswd } from '../../access/htpasswd/parse.ts'
import { isWordOfAudit, parseGroup, parseLoginName } from '../../access/names.ts'
import { isLoopback } from '../addresses.ts'
import type { AuthConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'
import { buildProviders } from './build-oidc.ts'
import { buildTokenServer } from './build-token-server.ts'
import { Secret } from '../secret.ts'
import { closest } from '../suggest.ts'

const AT_PATH: Path = ['auth', 'htpasswd', 'path']

/** Undefined without accounts. Those that cannot be had, which is then noted, are not in it. */
export function buildAuth(judge: Judge, settings: Settings): AuthConfig | undefined {
  const { auth, http } = settings
  if (auth === undefined) return undefined
  const { htpasswd, groups } = auth
  const providers = buildProviders(judge, settings)
  const token = auth.token && buildTokenServer(judge, auth.token)
  if (token !== undefined && (htpasswd !== undefined || providers.length > 0)) {
    const message =
      'stands alone: its token server says who somebody is; take out htpasswd and oidc'
    judge.note(['auth', 'token'], { message })
  }
  if (htpasswd === undefined && providers.length === 0 && token === undefined) {
    // If one was written, that was a fault, and was told.
    if (!WAYS.some(way => judge.isWritten(['auth', way])))
      judge.note(['auth'], {
        message: 'has no htpasswd, oidc or token: there is nothing to log in by',
      })
    return undefined
  }
  judgeWire(judge, http)
  const file = htpasswd && readAccounts(judge, htpasswd.path)
  const names = file?.names ?? []
  if (file?.isWhole !== false && token === undefined) judgeGroups(judge, groups, names)
  const realm = htpasswd?.realm ?? REALM_DEFAULT
  return {
    realm,
    file: file && { path: file.path, text: file.text },
    token,
    providers,
    groups,
    names,
  }
}

const WAYS = ['htpasswd', 'oidc', 'token'] as const
const REALM_DEFAULT = 'Registry'

/** `isWhole`: it was there, and has no fault. */
function readAccounts(judge: Judge, named: string) {
  const path = judge.credential(named)
  const text = judge.readFile(AT_PATH, path, 'secret')
  const read = judge.surroundings.readFile(path)
  if (read.kind === 'failed' && read.isMissing === true) {
    const message = `make it with "entrepot user add NAME --file ${path}"`
    judge.note(AT_PATH, { severity: 'warning', message })
  }
  const { entries, faults } = parseHtpasswd(text ?? '')
  for (const { line, message } of faults)
    judge.note(AT_PATH, { message: `${path}:${line}: ${message}` })
  const names = entries.map(({ name }) => name)
  for (const name of names.filter(isWordOfAudit)) {
    const message = `${path}: the audit log calls others ${name}: give this account another name`
    judge.note(AT_PATH, { severity: 'warning', message })
  }
  const isWhole = text !== undefined && faults.length === 0
  return { path, text: new Secret(text ?? ''), names, isWhole }
}

/**
 * With `https` in `http.host`, somebody in front of it speaks TLS. On loopback there may be a proxy
 * that does, whose clients would be sent to where nobody listens, or worse.
 */
function judgeWire(judge: Judge, { addr, host, tls, trustedproxies }: Settings['http']): void {
  if (tls !== undefined || host?.startsWith('https:') === true) return
  // It says by which scheme it was asked.
  if (isLoopback(addr) && trustedproxies.length > 0) return
  const message = isLoopback(addr)
    ? 'there is neither http.tls nor a public URL of https in http.host: behind a proxy set http.host or http.trustedproxies, lest clients send passwords to their own machine or over plain HTTP'
    : 'passwords come over plain HTTP, for anybody on the way to read: set http.tls, or http.host to the public URL of a proxy that speaks TLS, lest that send clients with their passwords to their own machine'
  judge.note(['auth'], { severity: 'warning', message })
}

/** Accounts come and go while the server runs, so that this is no fault; robots are its own. */
function judgeGroups(judge: Judge, groups: AuthConfig['groups'], names: readonly string[]): void {
  const known = new Set(names)
  for (const group of Object.keys(groups))
    if (parseGroup(group).kind !== 'group') {
      const message = 'is no group: what begins so, identity providers say'
      judge.note(['auth', 'groups', group], { message })
    }
  for (const [group, members] of Object.entries(groups))
    for (const [index, member] of members.entries()) {
      if (known.has(member) || parseLoginName(member).kind === 'robot') continue
      const suggestion = closest(member, names)
      const message = 'is no account in the file of auth.htpasswd'
      judge.note(['auth', 'groups', group, index], { severity: 'warning', message, suggestion })
    }
}
