// One endpoint of a namespace, put together: its URLs, its breaker, and who the edge is towards it
// and towards hosts that it leads to.
import { parseMediaType } from '../../oci/media-type.ts'
import type { RegistryHost } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent } from '../../registry/ports/events.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { Authorizer } from '../auth/authorizer.ts'
import { Breaker, type Watch } from './breaker.ts'
import { createCredentials } from '../auth/credentials.ts'
import { startDeadline } from '../connect/deadline.ts'
import { credentialHosts } from '../auth/docker-config.ts'
import { type EndpointUrls, endpointUrls } from './endpoint-url.ts'
import type { Exchange } from '../connect/exchange.ts'
import { createFirstRequests, type FirstRequests } from '../auth/first-request.ts'
import type { TimeLimits } from '../connect/dispatcher.ts'
import type { CredentialSource, UpstreamOptions } from '../options.ts'
import type { Profile } from '../profiles.ts'
import { createReferrersSupport, type ReferrersSupport } from './referrers-support.ts'
import { createSession, type Send } from './session.ts'
import { hasVersion } from '../connect/not-a-registry.ts'
import { Standing, type Taken } from '../auth/standing.ts'
import { createTokens } from '../auth/tokens.ts'

/** `/v2/` has nothing to look for. Whoever failed just now waits for this. */
const THERE_MS = 5_000

export interface Endpoint {
  readonly url: URL
  readonly urls: EndpointUrls
  readonly isMirror: boolean
  readonly send: Send
  readonly breaker: Breaker
  readonly capabilities: Capabilities
  /** What it makes of the credentials; undefined while it was shown none. */
  credentials(): Taken | undefined
  /** See Tokens.forget. */
  forgetTokens(isMeant: (name: string) => boolean): void
}

/**
 * What an endpoint was found to lack, until a monotonic time (in ms) at which it is tried again.
 * Changed by whoever finds out.
 */
export interface Capabilities {
  readonly referrers: ReferrersSupport
  /** Until then HEAD of a blob is not tried: it was refused (R62). */
  headBlobRefusedUntilMs: number
}

/** What all endpoints of a namespace share. */
export interface EndpointParts {
  readonly registry: RegistryHost
  readonly exchange: Exchange
  readonly clock: Clock
  readonly note: NoteEvent
  readonly limits: TimeLimits
  readonly profile: Omit<Profile, 'apiUrl'>
  readonly options: UpstreamOptions
  readonly onBlobRedirect: (target: URL) => void
  readonly watch: Watch
}

/** Connects to nothing. */
export function createEndpoint(url: URL, isMirror: boolean, parts: EndpointParts): Endpoint {
  const { registry, exchange, clock, note } = parts
  const urls = endpointUrls(url, isMirror ? registry : undefined)
  const source = isMirror ? mirrorCredentials(parts.options.credentials) : parts.options.credentials
  const hosts = isMirror ? [url.host] : credentialHosts(registry, url, parts.profile.aliases)
  const firsts = createFirstRequests(clock)
  const standing = new Standing(clock)
  const own = authorizer(parts, { source, hosts, ping: urls.ping, firsts, standing })
  const nobody = { source: { kind: 'anonymous' }, hosts: [], standing } as const
  const anonymous = authorizer(parts, { ...nobody, ping: undefined, firsts: undefined })
  const send = createSession({ exchange, own, anonymous, onBlobRedirect: parts.onBlobRedirect })
  const breaker = new Breaker({
    clock,
    host: url.host,
    onChange: change => note({ kind: 'upstream breaker', registry, ...change }),
    isThere: () => isThereInTime({ send, urls }, clock),
    // Nobody is asked again and again because a client made up its name.
    watch: parts.options.namedByClient === true ? undefined : parts.watch,
  })
  return {
    url,
    urls,
    isMirror,
    send,
    breaker,
    capabilities: { referrers: createReferrersSupport(), headBlobRefusedUntilMs: 0 },
    credentials: () => standing.now,
    forgetTokens: isMeant => {
      own.forgetTokens(isMeant)
      anonymous.forgetTokens(isMeant)
    },
  }
}

/** Never rejects. */
async function isThereInTime(
  endpoint: Pick<Endpoint, 'send' | 'urls'>,
  clock: Clock,
): Promise<boolean> {
  const deadline = startDeadline(clock, THERE_MS)
  try {
    return await isRegistryThere(endpoint, deadline.signal)
  } catch {
    return false
  } finally {
    deadline.end()
  }
}

/** Does `/v2/` answer as a registry's does, tokens included? @throws the signal's reason */
export async function isRegistryThere(
  endpoint: Pick<Endpoint, 'send' | 'urls'>,
  signal: AbortSignal,
): Promise<boolean> {
  const url = endpoint.urls.ping
  const how = { call: 'ping', lane: 'ping', method: 'GET' } as const
  const request = { ...how, url, scope: '', headers: {} }
  try {
    const { status, headers, body } = await endpoint.send(request, signal)
    await body.drain()
    if (status === 401) return headers.first('www-authenticate') !== undefined
    const isJson = parseMediaType(headers.first('content-type')) === 'application/json'
    return status === 200 && (isJson || hasVersion(headers))
  } catch (error) {
    if (signal.aborted || !(error instanceof UpstreamError)) throw error
    return error.failure === 'denied'
  }
}

/**
 * A docker config names its hosts, so it may know a mirror's; other credentials are the registry's
 * alone.
 */
function mirrorCredentials(source: CredentialSource): CredentialSource {
  return source.kind === 'docker-config' ? source : { kind: 'anonymous' }
}

function authorizer(
  { exchange, clock, limits, profile, options }: EndpointParts,
  who: {
    source: CredentialSource
    hosts: readonly string[]
    ping: URL | undefined
    firsts: FirstRequests | undefined
    standing: Standing
  },
): Authorizer {
  const limitMs = limits.connectMs + limits.headersMs
  return new Authorizer({
    firsts: who.firsts,
    standing: who.standing,
    credentials: createCredentials({ source: who.source, hosts: who.hosts, clock }),
    tokens: createTokens({ exchange, clock, method: profile.tokenMethod, limitMs }),
    realms: [...options.realms, ...profile.realmHosts],
    ping: async signal => {
      if (who.ping === undefined) return []
      const response = await exchange({
        call: 'ping',
        lane: 'api',
        method: 'GET',
        url: who.ping,
        headers: {},
        signal,
      })
      await response.body.drain()
      return response.status === 401 ? response.headers.all('www-authenticate') : []
    },
  })
}
