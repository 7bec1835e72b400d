// What is said to who is known by no name where there are accounts: the same to everybody, whatever
// is asked for and whoever asks, so that it tells of nothing but that a login may help.
import type { Decision } from './access.ts'
import type { AccountsSettings, Login } from './accounts.ts'

type Unauthorized = Extract<Decision, { kind: 'unauthorized' }>
type Unidentified = Unauthorized | Extract<Decision, { kind: 'busy' | 'limited' }>

/** `by`, for the log: what denied it to the anonymous. */
export function askForLogin(accounts: AccountsSettings, by?: string): Unauthorized {
  return { ...unauthorized(accounts, LOG_IN), ...(by === undefined ? {} : { by }) }
}

/** What is wrong with credentials that were shown. Undefined: nothing, or there are none. */
export function whyUnidentified(
  login: Login | undefined,
  accounts: AccountsSettings,
): Unidentified | undefined {
  // Undefined: they were tried before accounts changed, and are not known to be good since.
  if (login === undefined) return unauthorized(accounts, WRONG)
  switch (login.kind) {
    case 'anonymous':
    case 'account':
      return undefined
    case 'refused':
      return unauthorized(accounts, WRONG)
    case 'busy':
    case 'limited': {
      const { kind, retryAfterSeconds } = login
      return { kind, reason: NOT_TRIED[kind], retryAfterSeconds }
    }
  }
}

function unauthorized({ realm }: AccountsSettings, reason: string): Unauthorized {
  return { kind: 'unauthorized', reason, challenge: `Basic realm="${realm}"` }
}

const LOG_IN = 'this registry asks for a login here: docker login, or what other clients call it'
const WRONG = 'this user name and password are not good here: log in again'
const NOT_TRIED = {
  busy: 'too many logins are being tried at once; try again',
  limited:
    'too many wrong user names and passwords came from this address or for this name: try again later, with the right ones',
} as const
