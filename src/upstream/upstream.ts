// One upstream namespace as the Upstream port: puts the parts of this room together. Where a
// request goes, with which credentials and how often is decided below; what is asked is in
// reads.ts, what is sent in writes.ts.
import { NOT_NEEDED } from '../async/aborting.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { Upstream, UpstreamHealth } from '../registry/ports/upstream.ts'
import { createAddressPolicy } from './connect/address-policy.ts'
import { type LookupAll, lookupAll } from './connect/connector.ts'
import { createDispatchers, TIME_LIMITS, type TimeLimits } from './connect/dispatcher.ts'
import { createEndpoint } from './endpoint/endpoint.ts'
import { createAsk } from './endpoint/endpoints.ts'
import { createExchange } from './connect/exchange.ts'
import { createMirrorTrust } from './endpoint/mirror-trust.ts'
import { createNameRules } from './name-rules.ts'
import type { UpstreamOptions } from './options.ts'
import { profileOf } from './profiles.ts'
import { createRateLimit, healthOf } from './endpoint/health.ts'
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
 * As many as blobs are downloaded at once by default: with the manifest all of an image's are begun
 * together, and the image is whole when the one with the latest connection is.
 */
const CONNECTIONS_AHEAD = 12

/**
 * Connects to nothing until it is asked for something.
 * @throws TypeError when `url` is http and plainHttp is false
 */
export function createUpstream(
  options: UpstreamOptions,
  deps: UpstreamDeps,
): Upstream & { close(): Promise<void> } {
  const { registry, url } = options
  if (url.protocol === 'http:' && !options.plainHttp) {
    throw new TypeError(`${registry}: the URL is http, and plain HTTP is not allowed`)
  }
  const { clock, note, random } = deps
  const parts = openParts(options, deps)
  const { profile, limits, authoritative, trust, dispatchers } = parts
  const chain = { clock, random, chainMs: limits.chainMs }
  const rules = createNameRules(options.allows)
  const ask = createAsk({ mirrors: trust, authoritative, ...chain })
  const write = createWrite({ endpoint: authoritative, ...chain })
  const blobsAhead = (): void => {
    const [asked = authoritative] = trust.mirrorsFor(undefined)
    // Nobody knocks a dozen times where nobody answers.
    if (asked.breaker.state !== 'closed') return
    for (const host of [asked.url, ...parts.storageHosts()])
      dispatchers.warm(host, 'blob', CONNECTIONS_AHEAD)
  }
  return {
    registry,
    hasMirrors: options.mirrors.length > 0,
    ...createReads({ ask, clock, profile, rules, blobsAhead }),
    ...createWrites({ write, clock, rules }),
    distrust: (name, reference, why) => {
      const refused = trust.refuse(contentKey(name, reference))
      for (const mirror of why === 'other bytes' ? refused : []) {
        trust.leaveOut(mirror)
        note({ kind: 'mirror left out', registry, mirror: mirror.url.host })
      }
      return refused.length > 0
    },
    letNextThrough: () => authoritative.breaker.letNextThrough(),
    forgetTokens: isMeant => {
      for (const endpoint of parts.endpoints) endpoint.forgetTokens(isMeant)
    },
    health: () => parts.health(clock.nowMs()),
    close: () => {
      parts.closing.abort(NOT_NEEDED)
      return dispatchers.close()
    },
  }
}

/** The endpoints, and the way there. */
function openParts(options: UpstreamOptions, { clock, note, random, lookup }: UpstreamDeps) {
  const { registry, url, mirrors, userAgent } = options
  const limits: TimeLimits = { ...TIME_LIMITS, ...options.timeLimits }
  const profile = profileOf(registry)
  const named = options.namedByClient === true ? [] : [url, ...mirrors]
  const policy = createAddressPolicy({ ...options, endpoints: named })
  const resolver = lookup ?? lookupAll
  const dispatchers = createDispatchers({
    ...options,
    policy,
    tls: options,
    limits,
    lookup: resolver,
  })
  const rateLimit = createRateLimit(profile.remainingHeader, url, remaining => {
    note({ kind: 'upstream rate limit', registry, remaining })
  })
  const exchange = createExchange({
    registry,
    dispatchers,
    clock,
    note,
    userAgent,
    bodyIdleMs: limits.bodyIdleMs,
    onHead: response => rateLimit.observe(response),
  })
  /** Where the last blob was redirected to: signed paths do not last, hosts do. */
  let storage: URL | undefined
  const onBlobRedirect = (target: URL): void => {
    storage = new URL(target.origin)
  }
  const closing = new AbortController()
  const watch = { random, signal: closing.signal }
  const shared = {
    registry,
    exchange,
    clock,
    note,
    limits,
    profile,
    options,
    onBlobRedirect,
    watch,
  }
  const authoritative = createEndpoint(url, false, shared)
  const mirrored = mirrors.map(mirror => createEndpoint(mirror, true, shared))
  const endpoints = [...mirrored, authoritative]
  const breakers = endpoints.map(({ breaker }) => breaker)
  return {
    profile,
    limits,
    dispatchers,
    authoritative,
    endpoints,
    trust: createMirrorTrust(mirrored, clock),
    closing,
    storageHosts: () => (storage === undefined ? [] : [storage]),
    health: (nowMs: number): UpstreamHealth => ({
      registry,
      ...healthOf(breakers, nowMs),
      credentials: (['refused', 'taken'] as const).find(each =>
        endpoints.some(endpoint => endpoint.credentials() === each),
      ),
      rateLimitRemaining: rateLimit.remaining(),
    }),
  }
}
