// `auth` → the accounts of a file, judged while an operator reads the answer: what is wrong in it,
// by line, and names that nobody has.
import { parseHtpasswd } from '../access/htpasswd/parse.ts'
import { isLoopback } from './addresses.ts'
import type { AuthConfig } from './config.ts'
import type { Path } from './findings.ts'
import type { Judge } from './judge.ts'
import type { Settings } from './schema.ts'
import { Secret } from './secret.ts'
import { closest } from './suggest.ts'
import { isRobot } from './who.ts'

const AT_PATH: Path = ['auth', 'htpasswd', 'path']

/** Undefined without accounts. Those that cannot be had, which is then noted, are not in it. */
export function buildAuth(judge: Judge, { auth, http }: Settings): AuthConfig | undefined {
  if (auth === undefined) return undefined
  const { htpasswd, groups } = auth
  if (htpasswd === undefined) {
    // If it was written, that was a fault, and was told.
    if (!judge.isWritten(['auth', 'htpasswd']))
      judge.note(['auth'], { message: 'has no htpasswd: there is nothing to log in by' })
    return undefined
  }
  judgeWire(judge, http)
  const path = judge.credential(htpasswd.path)
  const text = judge.readFile(AT_PATH, path, 'secret')
  if (text === undefined) {
    const message = `make it with "entrepot user add NAME --file ${path}"`
    judge.note(AT_PATH, { severity: 'warning', message })
  }
  const { entries, faults } = parseHtpasswd(text ?? '')
  for (const { line, message } of faults)
    judge.note(AT_PATH, { message: `${path}:${line}: ${message}` })
  const names = entries.map(({ name }) => name)
  if (text !== undefined && faults.length === 0) judgeGroups(judge, groups, names)
  return { realm: htpasswd.realm, path, text: new Secret(text ?? ''), groups, names }
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
  for (const [group, members] of Object.entries(groups))
    for (const [index, member] of members.entries()) {
      if (known.has(member) || isRobot(member)) continue
      const suggestion = closest(member, names)
      const message = 'is no account in the file of auth.htpasswd'
      judge.note(['auth', 'groups', group, index], { severity: 'warning', message, suggestion })
    }
}
