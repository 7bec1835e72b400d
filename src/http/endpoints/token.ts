// The edge's own token service (R131, R132): who somebody is, shown once, as a token for minutes.
// Scopes are taken as they come and given back: what somebody may do is judged with each request
// (R133, R181).
import type { Access } from '../../access/access.ts'
import { type IssuedToken, type Login, REFUSED, type ShownForToken } from '../../access/accounts.ts'
import type { Target } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { readWholeBody } from '../body/request-body.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Exchange } from '../exchange.ts'
import { TOKEN_FORM_MAX_BYTES } from '../limits.ts'
import type { Logins } from '../logins.ts'
import { refusedBy } from '../refusals.ts'

export interface TokenDeps {
  readonly access: Access
  readonly logins: Logins
  readonly target: Target
  readonly clock: Clock
}

interface AskedForToken {
  /** Undefined: nobody can say what is meant. */
  readonly shown: ShownForToken | undefined
  readonly isOffline: boolean
  readonly scope: string
}

const FORM = /^application\/x-www-form-urlencoded(?:\s*;|$)/i

/**
 * @throws RegistryError UNAUTHORIZED for what is nobody's: a token of the anonymous in its place
 * would tell people that their login is good
 */
export async function giveToken(exchange: Exchange, deps: TokenDeps): Promise<Answer> {
  const { access, logins, target } = deps
  const asked =
    exchange.request.method === 'POST'
      ? await askedByForm(exchange, deps)
      : askedByQuery(exchange, deps)
  const { shown, isOffline, scope } = asked
  const issued = shown === undefined ? REFUSED : await logins.issueToken(shown, isOffline)
  exchange.record.login = loginBy(issued)
  if (issued.kind === 'token') return answerToken(issued, scope)
  const refusal = access.judgeLogin(exchange.principal, issued)
  if (refusal === undefined)
    throw new RegistryError('UNSUPPORTED', 'this registry has no accounts, and needs no tokens', {
      status: 404,
    })
  throw refusedBy(refusal, access, { exchange, target })
}

function loginBy(issued: IssuedToken): Login {
  if (issued.kind !== 'token') return issued
  const { account: name } = issued
  return name === undefined ? { kind: 'anonymous' } : { kind: 'account', name }
}

function askedByQuery(
  { request, principal }: Exchange,
  { logins, target }: TokenDeps,
): AskedForToken {
  const { query } = target
  const shown = logins.shownForToken(request, principal.address)
  const isOffline = query.get('offline_token') === 'true'
  return { shown, isOffline, scope: query.getAll('scope').join(' ') }
}

/** @throws RegistryError for what is no such form */
async function askedByForm(exchange: Exchange, { clock }: TokenDeps): Promise<AskedForToken> {
  if (!FORM.test(exchange.request.headers['content-type'] ?? ''))
    throw malformed('a POST for a token is a form: application/x-www-form-urlencoded')
  const body = await readWholeBody(exchange, clock, {
    mostBytes: TOKEN_FORM_MAX_BYTES,
    tooLarge: () => malformed('this form is too large', 413),
  })
  const form = new URLSearchParams(body.toString())
  const shown = shownBy(form, exchange.principal.address)
  const isOffline = form.get('access_type') === 'offline'
  return { shown, isOffline, scope: form.getAll('scope').join(' ') }
}

function shownBy(form: URLSearchParams, address: string | undefined): ShownForToken {
  const grant = form.get('grant_type')
  if (grant === 'refresh_token')
    return { kind: 'refresh token', token: form.get('refresh_token') ?? '' }
  if (grant !== 'password') throw malformed('grant_type is password or refresh_token')
  const [name, password] = [form.get('username'), form.get('password')]
  if (name === null || password === null)
    throw malformed('with grant_type=password there is a username and a password')
  return { kind: 'password', attempt: { name, password, address } }
}

function malformed(message: string, status = 400): RegistryError {
  return new RegistryError('UNSUPPORTED', message, { status })
}

function answerToken(
  { token, issuedAtMs, expiresInSeconds, refreshToken }: Extract<IssuedToken, { kind: 'token' }>,
  scope: string,
): Answer {
  const issued = {
    token,
    access_token: token,
    expires_in: expiresInSeconds,
    issued_at: new Date(issuedAtMs).toISOString(),
    scope,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  }
  return jsonAnswer(issued, { 'Cache-Control': 'no-store' })
}
