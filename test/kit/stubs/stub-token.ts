// The token service of a stub registry, and its judgement on the Authorization header of a request
// (distribution's token specification; R140 to R144, R161). Tokens end when a test says so, never
// by the clock.
import { randomUUID } from 'node:crypto'
import { formatChallenge, formatScope, parseScope } from './bearer.ts'
import { type Answer, bufferBody } from './stub-sending.ts'
import type { AuthBehaviour } from './stub-profiles.ts'
import { isPush } from './stub-pushes.ts'
import type { StubRequest } from './stub-requests.ts'

export interface TokenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
  /** Of a POST. */
  readonly form: URLSearchParams
}

export function createTokenService(behaviour: AuthBehaviour, selfUrl: () => string) {
  /** Token → its scopes, as asked for. */
  const tokens = new Map<string, readonly string[]>()
  const refreshTokens = new Set<string>()

  /** Undefined when `request` is none for the token service. */
  function answer(request: TokenRequest): Answer | undefined {
    if (request.path === '/oauth2/exchange' && request.method === 'POST') return exchange(request)
    if (request.path !== behaviour.realmPath) return undefined
    const post = request.method === 'POST'
    if (post && behaviour.postStatus !== 200) return json(behaviour.postStatus, { errors: [] })
    const scopes = (post ? request.form : request.query).getAll('scope')
    if (!mayHave(scopes, isUser(request))) {
      return json(behaviour.refusalStatus ?? 401, {
        errors: [{ code: 'UNAUTHORIZED', message: 'wrong credentials' }],
      })
    }
    const token = randomUUID()
    tokens.set(token, granted(scopes))
    return json(200, tokenMembers(token), behaviour.tokenMediaType)
  }

  function granted(scopes: readonly string[]): readonly string[] {
    const { withheld = [] } = behaviour
    return scopes
      .flatMap(scope => scope.split(' ').flatMap(oneByOne))
      .filter(scope => !withheld.includes(scope))
  }

  function tokenMembers(token: string) {
    const { tokenField, expiresInSeconds } = behaviour
    return {
      ...(tokenField === 'access_token' ? {} : { token }),
      ...(tokenField === 'token' ? {} : { access_token: token }),
      ...(expiresInSeconds === undefined ? {} : { expires_in: expiresInSeconds }),
    }
  }

  /** An Azure access token becomes a refresh token: any will do, the step is what counts. */
  function exchange({ form }: TokenRequest): Answer {
    if (form.get('grant_type') !== 'access_token') return json(400, { errors: [] })
    const token = randomUUID()
    refreshTokens.add(token)
    return json(200, { refresh_token: token })
  }

  function isUser({ authorization, form }: TokenRequest): boolean {
    return isBasic(authorization) || refreshTokens.has(form.get('refresh_token') ?? '')
  }

  function isBasic(authorization: string | undefined): boolean {
    const { username = '', password = '' } = behaviour
    const expected = Buffer.from(`${username}:${password}`).toString('base64')
    return authorization === `Basic ${expected}`
  }

  function mayHave(scopes: readonly string[], user: boolean): boolean {
    const { closedPrefix } = behaviour
    const isClosed = (scope: string) => scope.startsWith(`repository:${closedPrefix}`)
    if (closedPrefix !== undefined && scopes.some(isClosed)) return false
    if (behaviour.username === undefined || user) return true
    const { privatePrefix } = behaviour
    return (
      privatePrefix !== undefined &&
      scopes.every(scope => !scope.startsWith(`repository:${privatePrefix}`))
    )
  }

  /** Undefined when the request may pass, else the refusal. */
  function refuse(request: StubRequest): Answer | undefined {
    const { scheme } = behaviour
    const { authorization } = request.headers
    if (scheme === 'none') return undefined
    if (scheme === 'basic') {
      const open = behaviour.username === undefined
      return open || isBasic(authorization)
        ? undefined
        : unauthorized(request, `Basic realm="${behaviour.service}"`)
    }
    const token = /^bearer (.+)$/i.exec(authorization ?? '')?.[1]
    const scopes = token === undefined ? undefined : tokens.get(token)
    const needed = neededScopes(request)
    const wanted = needed.flatMap(oneByOne)
    if (scopes !== undefined && wanted.every(one => scopes.some(scope => covers(scope, one)))) {
      return undefined
    }
    return unauthorized(request, challenge(needed, tokenError(token, scopes)))
  }

  function challenge(needed: readonly string[], error: string | undefined): string {
    return formatChallenge('Bearer', {
      realm: behaviour.realm ?? `${selfUrl()}${behaviour.realmPath}`,
      service: behaviour.service,
      ...(needed.length > 0 && { scope: needed.join(' ') }),
      ...(error !== undefined && { error }),
    })
  }

  function unauthorized(request: StubRequest, value: string): Answer {
    const silent = behaviour.silentRefusal && request.kind !== 'ping'
    const answered = json(401, {
      errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }],
    })
    return silent
      ? answered
      : { ...answered, headers: { ...answered.headers, 'www-authenticate': value } }
  }

  return {
    answer,
    refuse,
    /** From now on none of the tokens given so far is good. */
    expireTokens: (): void => tokens.clear(),
  }
}

function neededScopes(request: StubRequest): readonly string[] {
  const { kind, repository, query } = request
  if (kind === 'catalog') return ['registry:catalog:*']
  if (repository === '') return []
  if (!isPush(request)) return [`repository:${repository}:pull`]
  const from = new URLSearchParams(query).get('from')
  return [
    `repository:${repository}:pull,push`,
    ...(from === null ? [] : [`repository:${from}:pull`]),
  ]
}

function tokenError(
  token: string | undefined,
  scopes: readonly string[] | undefined,
): string | undefined {
  if (token === undefined) return undefined
  return scopes === undefined ? 'invalid_token' : 'insufficient_scope'
}

/** `repository:a:pull,push` is `repository:a:pull` and `repository:a:push`. */
function oneByOne(text: string): readonly string[] {
  const scope = parseScope(text)
  if (scope === undefined) return [text]
  return scope.actions.map(action => formatScope({ ...scope, actions: [action] }))
}

/** `aws` is ECR's word for everything. */
function covers(scope: string, needed: string): boolean {
  return scope === 'aws' || scope === needed
}

function json(status: number, value: unknown, mediaType = 'application/json'): Answer {
  return { status, headers: { 'content-type': mediaType }, body: bufferBody(JSON.stringify(value)) }
}
