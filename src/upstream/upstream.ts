// One upstream namespace as the Upstream port: puts the parts of this room together. Where a request goes, with which
// credentials and how often is decided below; what is asked is in manifests, blobs, tags and referrers; what is
// sent, in push-blob, stream-blob and put-manifest.
import type { RegistryHost } from '../oci/reference.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { Upstream, UpstreamHealth } from '../registry/ports/upstream.ts'
import { createAddressPolicy } from './address-policy.ts'
import { getBlob, headBlob } from './blobs.ts'
import { type LookupAll, lookupAll } from './connector.ts'
import { createDispatchers } from './dispatcher.ts'
import { createEndpoint, type EndpointParts } from './create-endpoint.ts'
import { createAsk, type Endpoint } from './endpoints.ts'
import { createExchange } from './exchange.ts'
import { getManifest, headManifest } from './manifests.ts'
import { createNameRules } from './name-rules.ts'
import { TIME_LIMITS, type TimeLimits, type UpstreamOptions } from './options.ts'
import { profileOf } from './profiles.ts'
import { mountBlob, pushBlob } from './push-blob.ts'
import { putManifest } from './put-manifest.ts'
import { createRateLimit } from './rate-limit.ts'
import { listReferrers } from './referrers.ts'
import { streamBlob } from './stream-blob.ts'
import { listTags } from './tags.ts'
import { createWrite } from './writes.ts'

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
  const { allows, assertAllowed } = createNameRules(options.include, options.exclude)
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
  const write = createWrite({ endpoint: authoritative, clock, random, chainMs: limits.chainMs })

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
    mountBlob: async (name, digest, from, signal) => {
      assertAllowed(name)
      // Its bytes are here and can be sent.
      if (!allows(from)) return false
      return write(mountBlob({ name, digest, from }, clock), { signal })
    },
    pushBlob: async (name, source, signal) => {
      assertAllowed(name)
      return write(pushBlob(name, source, clock), { signal })
    },
    streamBlob: async (name, body, signal) => {
      assertAllowed(name)
      return streamBlob(name, body, { write, clock, signal })
    },
    putManifest: async (name, reference, manifest, signal) => {
      assertAllowed(name)
      return write(putManifest({ name, reference, ...manifest }, clock), { signal })
    },
    health: () =>
      healthOf(registry, endpoints, { nowMs: clock.nowMs(), remaining: rateLimit.remaining() }),
    close: () => dispatchers.close(),
  }
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
