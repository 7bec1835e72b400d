// Names by which nobody is asked for a login (http.anonymous), where they change nothing or cannot
// be what a client calls.
import { isByLogin } from '../../access/names.ts'
import type { AccessRule } from '../../access/rule.ts'
import type { ListenAddress } from '../addresses.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'

const AT = ['http', 'anonymous'] as const
const PORT = /:(\d{1,5})$/

/** Notes warnings: nothing of it keeps an edge from serving. */
export function judgeAnonymous(
  judge: Judge,
  { http, auth }: Settings,
  rules: readonly AccessRule[],
): void {
  if (http.anonymous.length === 0) return
  const why = whyForNothing(auth !== undefined, rules)
  if (why !== undefined) judge.note(AT, { severity: 'warning', message: why })
  const isTls = http.tls !== undefined || http.host?.startsWith('https:') === true
  for (const [index, name] of http.anonymous.entries()) {
    const wrong = whyNeverCalled(name, {
      isTls,
      ...(http.host === undefined && { addr: http.addr }),
    })
    if (wrong !== undefined) judge.note([...AT, index], { severity: 'warning', ...wrong })
  }
}

function whyForNothing(hasAccounts: boolean, rules: readonly AccessRule[]): string | undefined {
  if (!hasAccounts) return 'changes nothing: without auth nobody is asked for a login'
  if (rules.some(isForAnonymous)) return undefined
  return 'nobody gets anything by these names without a login: no rule of access allows pull to anonymous'
}

function isForAnonymous({ who, tags, allow }: AccessRule): boolean {
  return !isByLogin(who) && tags.length === 0 && allow.includes('pull')
}

/** `addr`: where clients come to, as far as that is known. */
function whyNeverCalled(
  name: string,
  { isTls, addr }: { readonly isTls: boolean; readonly addr?: ListenAddress },
): { readonly message: string; readonly suggestion?: string } | undefined {
  const port = PORT.exec(name)?.[1]
  if (port === undefined) return undefined
  const suggestion = name.replace(PORT, '')
  if (Number(port) === (isTls ? 443 : 80))
    return { message: `is no name that clients send: they leave out :${port}`, suggestion }
  if (addr === undefined || addr.port === 0 || addr.port === Number(port)) return undefined
  const message = `is called by nobody, unless a proxy or a port mapping has that port: this edge listens on ${addr.port} (http.addr)`
  return { message, suggestion }
}
