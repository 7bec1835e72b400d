// What is said to who is known by no name where there are accounts: the same to everybody, whatever
// is asked for and whoever asks, so that it tells of nothing but that a login may help.
import type { Decision } from './access.ts'
import type { AccountsSettings, Login } from './accounts.ts'
import { grantsOf } from './grants.ts'

type Unauthorized = Extract<Decision, { kind: 'unauthorized' }>
type Unidentified = Unauthorized | Extract<Decision, { kind: 'busy' | 'limited' | 'away' }>

/** `by`, for the log: what denied it to who has shown this `login`, which is nobody's. */
export function askForLogin(
  { realm, tokenServer: server }: AccountsSettings,
  login: Login | undefined,
  by?: string,
): Unauthorized {
  const hasToken = (login?.kind === 'anonymous' && login.byToken) || grantsOf(login) !== undefined
  // Without it clients ask for the same token again and again (R129).
  const error = hasToken ? 'insufficient_scope' : undefined
  const asked = { kind: 'unauthorized', reason: LOG_IN } as const
  const challenge = { kind: 'token', realm, server, error } as const
  return { ...asked, challenge, ...(by !== undefined && { by }) }
}

/** What is wrong with credentials that were shown. Undefined: nothing, or there are none. */
export function whyUnidentified(
  login: Login | undefined,
  accounts: AccountsSettings,
): Unidentified | undefined {
  // Undefined: they were tried before accounts changed, and are not known to be good since.
  if (login === undefined) return refused(accounts)
  switch (login.kind) {
    case 'anonymous':
    case 'account':
      return undefined
    case 'refused':
      return refused(accounts, login.byToken)
    case 'busy':
    case 'away':
    case 'limited': {
      const { kind, retryAfterSeconds } = login
      return { kind, reason: NOT_TRIED[kind], retryAfterSeconds }
    }
  }
}

function refused({ realm, tokenServer: server }: AccountsSettings, byToken = false): Unauthorized {
  const error = byToken ? 'invalid_token' : undefined
  const reason = byToken ? WRONG_TOKEN : WRONG
  return { kind: 'unauthorized', reason, challenge: { kind: 'token', realm, server, error } }
}

const LOG_IN = 'this registry asks for a login here: docker login, or what other clients call it'
const WRONG = 'this user name and password are not good here: log in again'
const WRONG_TOKEN = 'this token is not good here, or not any more: get another one, or log in again'
const NOT_TRIED = {
  busy: 'too many logins are being tried at once; try again',
  away: 'whoever can say whose this token is does not answer: try again',
  limited:
    'too many wrong user names and passwords came from this address or for this name: try again later, with the right ones',
} as const
