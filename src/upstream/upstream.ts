// One upstream namespace as the Upstream port: puts the parts of this room together. Where a
// request goes, with which credentials and how often is decided below; what is asked is in
// reads.ts, what is sent in writes.ts.
import { NOT_NEEDED } from '../async/aborting.ts'
import type { RegistryHost } from '../oci/reference.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { ReadOptions, Upstream, UpstreamHealth } from '../registry/ports/upstream.ts'
import { createAddressPolicy } from './connect/address-policy.ts'
import { type LookupAll, lookupAll } from './connect/connector.ts'
import { createDispatchers, TIME_LIMITS, type TimeLimits } from './connect/dispatcher.ts'
import { createEndpoint, type Endpoint, type EndpointParts } from './endpoint/endpoint.ts'
import { createAsk } from './endpoint/endpoints.ts'
import { createExchange } from './connect/exchange.ts'
import { createMirrorTrust } from './endpoint/mirror-trust.ts'
import { createNameRules } from './name-rules.ts'
import type { UpstreamOptions } from './options.ts'
import { profileOf } from './profiles.ts'
import { createRateLimit } from './endpoint/rate-limit.ts'
import { contentKey, createReads } from './read/reads.ts'
import { createWrite } from './write/write-chain.ts'
import { createWrites } from './write/writes.ts'

export interface UpstreamDeps {
  readonly clock: Clock
  readonly note: NoteEvent
  /** In [0, 1); for jitter. */
  readonly random: () => number
  /** Default: the system's resolver. */
  readonly lookup?: LookupAll
}

/**
 * For the config and the first layer: the others have time for a connection of their own while
 * these come.
 */
const CONNECTIONS_AHEAD = 2

/**
 * Connects to nothing until it is asked for something.
 * @throws TypeError when `url` is http and plainHttp is false
 */
export function createUpstream(
  options: UpstreamOptions,
  deps: UpstreamDeps,
): Upstream & { close(): Promise<void> } {
  const { registry, url, mirrors } = options
  const { clock, note, random } = deps
  const limits: TimeLimits = { ...TIME_LIMITS, ...options.timeLimits }
  const profile = profileOf(registry)
  const rules = createNameRules(options.allows)
  if (url.protocol === 'http:' && !options.plainHttp) {
    throw new TypeError(`${registry}: the URL is http, and plain HTTP is not allowed`)
  }
  const dispatchers = createDispatchers({
    ...options,
    policy: createAddressPolicy({
      ...options,
      endpoints: options.namedByClient === true ? [] : [url, ...mirrors],
    }),
    tls: options,
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
    onHead: response => rateLimit.observe(response),
  })
  /** Where the last blob was redirected to: signed paths do not last, hosts do. */
  let storage: URL | undefined
  const onBlobRedirect = (target: URL): void => {
    storage = new URL(target.origin)
  }
  const closing = new AbortController()
  const parts: EndpointParts = {
    registry,
    exchange,
    clock,
    note,
    limits,
    profile,
    options,
    onBlobRedirect,
    watch: { random, signal: closing.signal },
  }
  const authoritative = createEndpoint(url, false, parts)
  const endpoints = [...mirrors.map(mirror => createEndpoint(mirror, true, parts)), authoritative]
  const mirrored = endpoints.slice(0, -1)
  const write = createWrite({ endpoint: authoritative, clock, random, chainMs: limits.chainMs })
  const writes = createWrites({ write, clock, rules })

  const trust = createMirrorTrust(mirrored, clock)
  const ask = createAsk({ mirrors: trust, authoritative, clock, random, chainMs: limits.chainMs })
  const blobsAhead = (options: ReadOptions): void => {
    const [mirror] = options.endpoints === 'registry' ? [] : trust.mirrorsFor(undefined)
    const { url: first } = mirror ?? authoritative
    for (const host of storage === undefined ? [first] : [first, storage])
      dispatchers.warm(host, 'blob', CONNECTIONS_AHEAD)
  }
  return {
    registry,
    ...createReads({ ask, clock, profile, rules, blobsAhead }),
    ...writes,
    distrust: (name, reference, why) => {
      const refused = trust.refuse(contentKey(name, reference))
      for (const mirror of why === 'other bytes' ? refused : []) {
        trust.leaveOut(mirror)
        note({ kind: 'mirror left out', registry, mirror: mirror.url.host })
      }
      return refused.length > 0
    },
    letNextThrough: () => authoritative.breaker.letNextThrough(),
    health: () =>
      healthOf(registry, endpoints, { nowMs: clock.nowMs(), remaining: rateLimit.remaining() }),
    close: () => {
      closing.abort(NOT_NEEDED)
      return dispatchers.close()
    },
  }
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
  const findings = breakers.map(({ lastFinding }) => lastFinding)
  const waits = breakers.map(({ retryInMs }) => retryInMs ?? 0)
  return {
    registry,
    breaker,
    retryAtMs: breaker === 'open' ? nowMs + Math.min(...waits) : undefined,
    lastFailure: breakers.at(-1)?.lastFailure,
    lastFinding: (['good', 'failed'] as const).find(each => findings.includes(each)),
    rateLimitRemaining: remaining,
  }
}
