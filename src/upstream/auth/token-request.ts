// One request to a token server (distribution's token specification; R142), and what real ones make
// of it: POST refused in four ways, expiry as a string or absent, any content type.
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { responseError, isObject } from '../connect/response-errors.ts'
import { basicAuthorization, type Credential } from './credentials.ts'
import type { ExchangeResponse, Exchange } from '../connect/exchange.ts'
import { isNotRegistry, pageError } from '../connect/not-a-registry.ts'

/** Tokens of registries with many scopes have some ten KiB. */
const TOKEN_RESPONSE_BYTES = 256 * 1024
/** The specification's value for responses without expires_in. */
const EXPIRES_DEFAULT_SECONDS = 60
/** A mistaken expiry must not keep a revoked token for months. */
const EXPIRES_MAX_SECONDS = 24 * 60 * 60
/** How token servers say that they have no POST: Google 404, Artifactory 401, Azure 400. */
const POST_REFUSED = new Set([400, 401, 404, 405])
/** A token goes into a header: nothing that could end it (R190). */
const TOKEN = /^[\x21-\x7e]{1,131072}$/

export interface TokenRequest {
  readonly realm: URL
  readonly service: string | undefined
  /** Sorted. */
  readonly scopes: readonly string[]
  readonly credential: Credential | undefined
  readonly method: 'GET' | 'POST'
}

export interface Token {
  readonly value: string
  readonly lifeMs: number
}

export interface TokenRequestParts {
  readonly exchange: Exchange
  readonly signal: AbortSignal
  /** Wall clock. */
  readonly nowMs: number
}

/** @throws UpstreamError */
export async function requestToken(
  request: TokenRequest,
  parts: TokenRequestParts,
): Promise<Token> {
  const { credential } = request
  if (credential !== undefined && (credential.isIdentityToken || request.method === 'POST')) {
    const response = await post(request, credential, parts)
    if (!POST_REFUSED.has(response.status)) return readToken(response, request, parts)
    await response.body.drain()
  }
  return readToken(await get(request, parts), request, parts)
}

function get(
  request: TokenRequest,
  { exchange, signal }: TokenRequestParts,
): Promise<ExchangeResponse> {
  const { service, scopes, credential } = request
  const url = new URL(request.realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credential?.isIdentityToken === false) url.searchParams.set('account', credential.username)
  const headers: Record<string, string> =
    credential === undefined ? {} : { authorization: basicAuthorization(credential) }
  return exchange({ call: 'token', lane: 'api', method: 'GET', url, headers, signal })
}

function post(
  request: TokenRequest,
  credential: Credential,
  { exchange, signal }: TokenRequestParts,
): Promise<ExchangeResponse> {
  const { realm, service, scopes } = request
  const form = new URLSearchParams({
    ...(credential.isIdentityToken
      ? { grant_type: 'refresh_token', refresh_token: credential.secret }
      : { grant_type: 'password', username: credential.username, password: credential.secret }),
    service: service ?? '',
    scope: scopes.join(' '),
    client_id: 'entrepot',
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const body = form.toString()
  return exchange({ call: 'token', lane: 'api', method: 'POST', url: realm, headers, body, signal })
}

async function readToken(
  response: ExchangeResponse,
  { realm, credential }: TokenRequest,
  { nowMs }: TokenRequestParts,
): Promise<Token> {
  if (response.status !== 200) throw await tokenError(response, credential, nowMs)
  const bytes = await response.body.readAll(TOKEN_RESPONSE_BYTES)
  const token = parseToken(Buffer.from(bytes).toString())
  if (token === undefined) {
    const text = `${realm.host} answered without a token`
    throw pageError(response) ?? new UpstreamError('invalid', text)
  }
  return token
}

/**
 * What a token server lacks is no statement about what was asked of the registry: its 404 is not
 * the manifest's.
 */
async function tokenError(
  response: ExchangeResponse,
  credential: Credential | undefined,
  nowMs: number,
): Promise<UpstreamError> {
  const error = await responseError(response, { what: 'a token', nowMs, redirected: false })
  if (isNotRegistry(error)) return error
  const { failure, message, retryAfterMs, status } = error
  const isDenied = failure === 'denied'
  const isWrong = failure === 'not-found' || failure === 'unsupported'
  return new UpstreamError(isWrong ? 'invalid' : failure, message, {
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(isDenied && credential !== undefined
      ? { hint: 'check the credentials of this upstream' }
      : {}),
  })
}

function parseToken(text: string): Token | undefined {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(document)) return undefined
  const value = [document.token, document.access_token].find(
    candidate => typeof candidate === 'string' && candidate !== '',
  )
  if (typeof value !== 'string' || !TOKEN.test(value)) return undefined
  return { value, lifeMs: lifeSeconds(document.expires_in) * 1000 }
}

/** `issued_at` is left aside: clocks differ, and the token was issued just now. */
function lifeSeconds(expiresIn: unknown): number {
  const seconds = typeof expiresIn === 'string' ? Number(expiresIn) : expiresIn
  return typeof seconds === 'number' && seconds > 0
    ? Math.min(seconds, EXPIRES_MAX_SECONDS)
    : EXPIRES_DEFAULT_SECONDS
}
