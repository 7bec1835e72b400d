// One request to one endpoint up to its final response: the challenge answered, redirects followed.
// Whether the response is good is for the caller; whether to try again, for retry.ts.
import type { UpstreamCall } from '../../registry/ports/events.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { Authorization, Authorizer } from '../auth/authorizer.ts'
import type { Lane } from '../connect/dispatcher.ts'
import type { ExchangeResponse, Exchange, Method } from '../connect/exchange.ts'
import { markRedirectedHost, newUploadError } from './failure-marks.ts'
import { isSameOrigin, REDIRECTS_MAX, redirectTarget } from '../connect/redirect.ts'
import type { RequestBody } from '../connect/request-body.ts'
import { pageError } from '../connect/not-a-registry.ts'

/**
 * A cached token that is refused is replaced once, and what replaces it once more: for a larger
 * scope (R144).
 */
const AUTHORIZATIONS_MAX = 2

export interface RegistryRequest {
  readonly call: UpstreamCall
  readonly lane: Lane
  readonly method: Method
  readonly url: URL
  /** One or more, with spaces between: `repository:<name>:pull`. */
  readonly scope: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent again after a challenge, unless it can be read once only. */
  readonly body?: RequestBody
  /**
   * Another host chose `url`: no credentials go there, not even when it is on the endpoint itself.
   * Default false.
   */
  readonly withoutCredentials?: boolean
}

export interface RegistryResponse extends ExchangeResponse {
  /** Another host answered than the one that was asked. */
  readonly redirected: boolean
}

/**
 * The body of the response MUST be read, drained or destroyed, and is no page for people.
 * @throws UpstreamError, or the signal's reason
 */
export type Send = (request: RegistryRequest, signal: AbortSignal) => Promise<RegistryResponse>

export interface SessionOptions {
  readonly exchange: Exchange
  /** For the endpoint itself. */
  readonly own: Authorizer
  /** For hosts that it redirects to: anonymous, whatever they ask for (R159). */
  readonly anonymous: Authorizer
  /** A blob is on another host. */
  readonly onBlobRedirect: (target: URL) => void
}

export function createSession(options: SessionOptions): Send {
  return async (request, signal) => {
    const way = { hasLeftRegistry: request.withoutCredentials === true }
    try {
      return await send(options, request, { signal, way })
    } catch (error) {
      throw way.hasLeftRegistry ? markRedirectedHost(error) : error
    } finally {
      options.own.answered(request.url)
    }
  }
}

async function send(
  { exchange, own, anonymous, onBlobRedirect }: SessionOptions,
  request: RegistryRequest,
  { signal, way }: { signal: AbortSignal; way: { hasLeftRegistry: boolean } },
): Promise<RegistryResponse> {
  const { scope } = request
  let { url } = request
  let authorizer = request.withoutCredentials === true ? anonymous : own
  let authorization = await authorizer.current({ url, scope, signal })
  let authorizations = 0

  for (let hops = 0; ; ) {
    const response = await exchange({
      ...request,
      url,
      headers: withAuthorization(request.headers, authorization),
      signal,
    })
    const redirected = authorizer !== own

    if (response.status === 401 && authorizations < AUTHORIZATIONS_MAX) {
      authorizations += 1
      const challenges = response.headers.all('www-authenticate')
      await response.body.drain()
      const target = { url, scope, signal }
      const next = await authorizer.afterRefusal(target, challenges, authorization)
      if (next === undefined) {
        authorizer.responded(response.status, authorization)
        return { ...response, redirected }
      }
      if (request.body?.once === true) throw tokenEnded(url)
      authorization = next
      continue
    }

    const target = isRead(request) ? await nextHop(response) : undefined
    if (target === undefined) {
      const page = pageError(response)
      if (page === undefined) authorizer.responded(response.status, authorization)
      if (page === undefined) return { ...response, redirected }
      await response.body.drain()
      throw page
    }
    await response.body.drain()
    hops += 1
    if (hops > REDIRECTS_MAX) {
      throw new UpstreamError(
        'invalid',
        `${request.url.host} redirects more than ${REDIRECTS_MAX} times`,
      )
    }
    if (!isSameOrigin(url, target)) {
      if (request.lane === 'blob') onBlobRedirect(target)
      // For good: a host that was redirected to must not send our credentials back to a URL of
      // its choice.
      authorizer = anonymous
      // Manifests are redirected to registries, which are part of the one that was asked.
      way.hasLeftRegistry = request.lane === 'blob' || request.call === 'blob'
      authorization = await anonymous.current({ url: target, scope, signal })
      authorizations = 0
    }
    url = target
  }
}

/** What writes is not led elsewhere by a redirect, only by the Location of an upload (R145). */
function isRead({ method }: RegistryRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

function tokenEnded(url: URL): UpstreamError {
  return newUploadError(
    `${url.host} took a token for the upload's beginning, not for its body`,
    401,
  )
}

async function nextHop(response: ExchangeResponse): Promise<URL | undefined> {
  try {
    return redirectTarget(response)
  } catch (error) {
    await response.body.drain()
    throw error
  }
}

function withAuthorization(
  headers: Readonly<Record<string, string>>,
  authorization: Authorization | undefined,
): Readonly<Record<string, string>> {
  return authorization === undefined ? headers : { ...headers, authorization: authorization.header }
}
