// What holds where the operator wrote no rules. With accounts, who has logged in may do everything,
// and nobody else anything. Without, everybody may pull and list, and programs of this machine may
// push and delete; they have their rights until there is an account.
import type { AccessRequest, Action, Decision, Principal } from './access.ts'
import type { AccountsSettings } from './accounts.ts'
import { grantsOf } from './grants.ts'
import type { Locals } from './locals.ts'

export interface Unruled {
  /** Undefined: nobody is asked for a login. */
  readonly accounts: AccountsSettings | undefined
  readonly locals: Locals
}

/** Of whoever was met. */
export function decideWithoutRules(
  { principal, action }: AccessRequest,
  { accounts, locals }: Unruled,
): Decision {
  if (accounts === undefined) return decideWithoutAccounts(principal, { action, locals })
  if (decideNowByLogin(principal, action, { accounts, locals }) === true) return TO_SOME
  if (action === 'pull') return { kind: 'hidden', by: NO_LOGIN }
  return { kind: 'denied', reason: NO_LOGIN, by: NO_LOGIN }
}

/** Undefined: it is not known before `meet`. */
export function decideNowWithoutRules(
  principal: Principal,
  action: 'pull' | 'push',
  { accounts, locals }: Unruled,
): boolean | undefined {
  if (accounts === undefined) return action === 'pull' || locals.is(principal, action)
  return decideNowByLogin(principal, action, { accounts, locals })
}

function decideNowByLogin(
  principal: Principal,
  action: Action,
  { accounts, locals }: Unruled & { readonly accounts: AccountsSettings },
): boolean | undefined {
  const { login } = principal
  // What a token grants is looked at before.
  if (login?.kind === 'account' || grantsOf(login) !== undefined) return true
  return accounts.isEmpty ? locals.is(principal, action) : false
}

function decideWithoutAccounts(
  principal: Principal,
  { action, locals }: Pick<AccessRequest, 'action'> & Pick<Unruled, 'locals'>,
): Decision {
  if (action === 'pull' || action === 'list') return ALLOWED
  const reason = locals.whyNot(principal, action)
  return reason === undefined
    ? ALLOWED
    : { kind: 'denied', reason: `${UNRULED[action]}: ${reason}` }
}

const NO_LOGIN = 'only who has logged in gets anything here'
const ALLOWED: Decision = { kind: 'allowed', anonymously: true }
const TO_SOME: Decision = { kind: 'allowed', anonymously: false }

const UNRULED = {
  push: 'until this registry has accounts it takes pushes only from programs on its own machine',
  delete: 'until this registry has accounts it deletes only for programs on its own machine',
} as const
