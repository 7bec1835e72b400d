// One upstream namespace as the Upstream port: puts the parts of this room together. Where a request goes, with which
// credentials and how often is decided below; what is asked is in manifests, blobs, tags and referrers.
import type { RegistryHost } from '../oci/reference.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { Upstream, UpstreamHealth } from '../registry/ports/upstream.ts'
import { createAddressPolicy } from './address-policy.ts'
import { type Authorizer, createAuthorizer } from './authorizer.ts'
import { getBlob, headBlob } from './blobs.ts'
import { createBreaker } from './breaker.ts'
import { type LookupAll, lookupAll } from './connector.ts'
import { createCredentials } from './credentials.ts'
import { createDispatchers } from './dispatcher.ts'
import { credentialHosts } from './docker-config.ts'
import { endpointUrls } from './endpoint-url.ts'
import { createAsk, type Endpoint } from './endpoints.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { getManifest, headManifest } from './manifests.ts'
import { createNameRules } from './name-rules.ts'
import {
  type CredentialSource,
  TIME_LIMITS,
  type TimeLimits,
  type UpstreamOptions,
} from './options.ts'
import { type Profile, profileOf } from './profiles.ts'
import { createRateLimit } from './rate-limit.ts'
import { listReferrers } from './referrers.ts'
import { createSession } from './session.ts'
import { listTags } from './tags.ts'
import { createTokens } from './tokens.ts'

export interface UpstreamDeps {
  readonly clock: Clock
  readonly note: NoteEvent
  /** In [0, 1); for jitter. */
  readonly random: () => number
  /** Default: the system's resolver. */
  readonly lookup?: LookupAll
}

/** Connects to nothing until it is asked for something. @throws TypeError when `url` is http and plainHttp is false */
export function createUpstream(
  options: UpstreamOptions,
  deps: UpstreamDeps,
): Upstream & { close(): Promise<void> } {
  const { registry, url, mirrors } = options
  const { clock, note, random } = deps
  const limits: TimeLimits = { ...TIME_LIMITS, ...options.timeLimits }
  const profile = profileOf(registry)
  const assertAllowed = createNameRules(options.include, options.exclude)
  if (url.protocol === 'http:' && !options.plainHttp) {
    throw new TypeError(`${registry}: the URL is http, and plain HTTP is not allowed`)
  }
  const dispatchers = createDispatchers({
    policy: createAddressPolicy({
      endpoints: options.namedByClient === true ? [] : [url, ...mirrors],
      listed: options.realms,
      privateAddresses: options.privateAddresses,
    }),
    tls: tlsOf(options),
    proxy: options.proxy,
    connections: options.connections,
    limits,
    lookup: deps.lookup ?? lookupAll,
  })
  const rateLimit = createRateLimit(profile.remainingHeader, url, remaining => {
    note({ kind: 'upstream rate limit', registry, remaining })
  })
  const exchange = createExchange({
    registry,
    dispatchers,
    clock,
    note,
    userAgent: options.userAgent,
    bodyIdleMs: limits.bodyIdleMs,
    onHead: answer => rateLimit.observe(answer),
  })
  const parts: EndpointParts = { registry, exchange, clock, note, limits, profile, options }
  const authoritative = createEndpoint(url, false, parts)
  const endpoints = [...mirrors.map(mirror => createEndpoint(mirror, true, parts)), authoritative]
  const ask = createAsk({
    mirrors: endpoints.slice(0, -1),
    authoritative,
    clock,
    random,
    chainMs: limits.chainMs,
  })

  return {
    registry,
    headManifest: async (name, reference, signal) => {
      assertAllowed(name)
      return ask(headManifest({ name, reference }, clock), { lane: 'api', signal })
    },
    getManifest: async (name, reference, signal) => {
      assertAllowed(name)
      return ask(getManifest({ name, reference }, clock), { lane: 'api', signal })
    },
    headBlob: async (name, digest, signal) => {
      assertAllowed(name)
      return ask(headBlob({ name, digest }, clock, profile.headBlob), { lane: 'blob', signal })
    },
    getBlob: async (name, digest, request, signal) => {
      assertAllowed(name)
      return ask(getBlob({ name, digest }, request, clock), { lane: 'blob', signal })
    },
    listTags: async (name, signal) => {
      assertAllowed(name)
      const suffices = ({ tags }: { tags: readonly unknown[] }) => tags.length > 0
      return ask(listTags(name, clock, profile.tagsPageMax), { lane: 'api', signal, suffices })
    },
    listReferrers: async (name, digest, signal) => {
      assertAllowed(name)
      // A mirror that does not know the subject says "nobody" as well.
      const suffices = ({ manifests }: { manifests: readonly unknown[] }) => manifests.length > 0
      const work = listReferrers({ name, digest }, clock, profile.referrersApi)
      return ask(work, { lane: 'api', signal, suffices })
    },
    health: () =>
      healthOf(registry, endpoints, { nowMs: clock.nowMs(), remaining: rateLimit.remaining() }),
    close: () => dispatchers.close(),
  }
}

interface EndpointParts {
  readonly registry: RegistryHost
  readonly exchange: Exchange
  readonly clock: Clock
  readonly note: NoteEvent
  readonly limits: TimeLimits
  readonly profile: Omit<Profile, 'apiUrl'>
  readonly options: UpstreamOptions
}

function createEndpoint(url: URL, isMirror: boolean, parts: EndpointParts): Endpoint {
  const { registry, exchange, clock, note } = parts
  const urls = endpointUrls(url, isMirror ? registry : undefined)
  const source = isMirror ? mirrorCredentials(parts.options.credentials) : parts.options.credentials
  const hosts = isMirror ? [url.host] : credentialHosts(registry, url, parts.profile.aliases)
  const own = authorizer(parts, { source, hosts, ping: urls.ping })
  const foreign = authorizer(parts, { source: { kind: 'anonymous' }, hosts: [], ping: undefined })
  return {
    url,
    urls,
    isMirror,
    send: createSession({ exchange, own, foreign }),
    breaker: createBreaker(clock, url.host, change => {
      note({ kind: 'upstream breaker', registry, ...change })
    }),
    abilities: { referrersMissingUntilMs: 0, referrersSeen: false, headBlobRefusedUntilMs: 0 },
  }
}

/** A docker config names its hosts, so it may know a mirror's; other credentials are the registry's alone. */
function mirrorCredentials(source: CredentialSource): CredentialSource {
  return source.kind === 'docker-config' ? source : { kind: 'anonymous' }
}

function authorizer(
  { exchange, clock, limits, profile, options }: EndpointParts,
  who: { source: CredentialSource; hosts: readonly string[]; ping: URL | undefined },
): Authorizer {
  const limitMs = limits.connectMs + limits.headersMs
  return createAuthorizer({
    credentials: createCredentials({ source: who.source, hosts: who.hosts, clock }),
    tokens: createTokens({ exchange, clock, method: profile.tokenMethod, limitMs }),
    realms: [...options.realms, ...profile.realmHosts],
    ping: async signal => {
      if (who.ping === undefined) return []
      const answer = await exchange({
        call: 'token',
        lane: 'api',
        method: 'GET',
        url: who.ping,
        headers: {},
        signal,
      })
      await answer.body.drain()
      return answer.status === 401 ? answer.headers.all('www-authenticate') : []
    },
  })
}

function tlsOf({ caPem, client }: UpstreamOptions) {
  return { ...(caPem === undefined ? {} : { caPem }), ...(client === undefined ? {} : { client }) }
}

/** As good as the best endpoint: as long as one is asked, the namespace is not cut off. */
function healthOf(
  registry: RegistryHost,
  endpoints: readonly Endpoint[],
  { nowMs, remaining }: { nowMs: number; remaining: number | undefined },
): UpstreamHealth {
  const breakers = endpoints.map(endpoint => endpoint.breaker)
  const states = breakers.map(breaker => breaker.state)
  const breaker = (['closed', 'half-open'] as const).find(state => states.includes(state)) ?? 'open'
  const waits = breakers.map(({ retryInMs }) => retryInMs ?? 0)
  return {
    registry,
    breaker,
    retryAtMs: breaker === 'open' ? nowMs + Math.min(...waits) : undefined,
    lastFailure: breakers.at(-1)?.lastFailure,
    rateLimitRemaining: remaining,
  }
}
