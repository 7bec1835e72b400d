// The connection pools of one upstream: for each kind of request, for each trust class of hosts,
// direct or through the proxy. Made when first needed; every option is written out, because the
// library's defaults are for browsers.
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { type AddressPolicy, type HostTrust } from './address-policy.ts'
import { createConnector, type LookupAll, type TlsSettings, tlsOptions } from './connector.ts'
import { type ProxyOptions, proxyFor } from './http-proxy.ts'
import { createWarmSockets, type WarmSockets } from './warm-sockets.ts'

/**
 * `blob`: downloads, which may take hours; `push`: bodies on their way up, which may, too; `api`:
 * small responses, which must never wait behind either; `ping`: whether a registry is there, which
 * must not wait behind names that hang.
 */
export type Lane = 'api' | 'blob' | 'push' | 'ping'

/**
 * How long an idle connection is kept; load balancers close after 30 s and more, and a race with
 * them costs a retry.
 */
const KEEP_ALIVE_MS = 10_000
/** The longest that a server's Keep-Alive header may ask for, for the same reason. */
const KEEP_ALIVE_MAX_MS = 25_000
/**
 * Hosts with open pools at once: url, mirrors, realms, and the storage hosts that redirects lead
 * to.
 */
const HOSTS_MAX = 256
/**
 * Pushes at once to each host. Not those of `connections`: a client that pushes slowly must not
 * keep others from pulling, and how many push at once is bounded where they come in.
 */
const PUSH_CONNECTIONS = 256
/** A breaker asks one question at a time; who lists referrers may ask as well. */
const PING_CONNECTIONS = 4
/** Response headers; signed Location URLs and Link headers fit, floods do not. */
const HEADER_BYTES_MAX = 32 * 1024

export interface Dispatchers {
  /**
   * The pool for `url`.
   * @throws UpstreamError refused, when the address policy forbids it without any look-up
   */
  for(url: URL, lane: Lane): Dispatcher
  /**
   * Opens so many connections to the host of `url` if it has fewer. Not through proxies. Never
   * throws.
   */
  warm(url: URL, lane: Lane, count: number): void
  /** Ends idle connections and destroys the others. */
  close(): Promise<void>
}

/** All in milliseconds. */
export interface TimeLimits {
  readonly connectMs: number
  readonly headersMs: number
  /**
   * Between two pieces of a body that is being asked for. A large blob has no limit in all (R150).
   */
  readonly bodyIdleMs: number
  /**
   * From the call to the first byte of a blob or the last of a manifest, over all retries, tokens
   * and redirects (R149).
   */
  readonly chainMs: number
}

export const TIME_LIMITS: TimeLimits = {
  // R150 allows 10 s, but the client's 30 s must hold a second attempt and a second endpoint.
  connectMs: 5_000,
  // Slow registries need several seconds for a large index; more than 15 s means that nobody is
  // working on it.
  headersMs: 15_000,
  bodyIdleMs: 30_000,
  // R149: clients give up on headers after 30 s (R18), and the edge needs some of that itself.
  chainMs: 24_000,
}

/** As the operator sets it. */
export interface PoolSettings {
  /** Connections at once to each host, for blobs and again for the rest; at least 1. */
  readonly connections: number
  /** An HTTP proxy for everything that `noProxy` (NO_PROXY's grammar) does not except. */
  readonly proxy?: ProxyOptions | undefined
}

export interface DispatcherOptions extends PoolSettings {
  readonly policy: AddressPolicy
  readonly tls: TlsSettings
  readonly limits: TimeLimits
  readonly lookup: LookupAll
}

interface Pool {
  readonly dispatcher: Dispatcher
  /** Not behind a proxy, which has connections of its own. */
  readonly direct?: { readonly agent: Agent; readonly warm: WarmSockets }
}

export function createDispatchers(options: DispatcherOptions): Dispatchers {
  const pools = new Map<string, Pool>()

  /** @throws UpstreamError refused */
  function poolOf(url: URL, lane: Lane): Pool {
    options.policy.checkHost(url)
    const trust = options.policy.trustOf(url)
    const proxy = proxyFor(url, options.proxy)
    const key = [lane, trust, proxy === undefined ? 'direct' : 'proxied'].join(' ')
    let pool = pools.get(key)
    if (pool === undefined) {
      pool =
        proxy === undefined
          ? direct(options, lane, trust)
          : proxied(options, { lane, trust, proxy })
      pools.set(key, pool)
    }
    return pool
  }

  return {
    for: (url, lane) => poolOf(url, lane).dispatcher,
    warm: (url, lane, count) => {
      try {
        const { direct: to } = poolOf(url, lane)
        // A number, or of a pool of one whether it is.
        const connected = Number(to?.agent.stats[url.origin]?.connected ?? 0)
        to?.warm.warm(url, Math.min(count, options.connections) - connected)
      } catch (error) {
        // The request itself is refused with a reason.
        if (!(error instanceof UpstreamError)) throw error
      }
    },
    close: async () => {
      for (const pool of pools.values()) pool.direct?.warm.close()
      await Promise.all([...pools.values()].map(({ dispatcher }) => dispatcher.destroy()))
    },
  }
}

function direct(options: DispatcherOptions, lane: Lane, trust: HostTrust): Pool {
  const { policy, tls, lookup, limits } = options
  const connect = createConnector({ policy, trust, tls, lookup, connectMs: limits.connectMs })
  const warm = createWarmSockets(connect)
  const agent = new Agent({ ...poolOptions(options, lane), connect: warm.connect })
  return { dispatcher: agent, direct: { agent, warm } }
}

function proxied(
  options: DispatcherOptions,
  { lane, trust, proxy }: { lane: Lane; trust: HostTrust; proxy: string },
): Pool {
  const dispatcher = new ProxyAgent({
    ...poolOptions(options, lane),
    uri: proxy,
    connectTimeout: options.limits.connectMs,
    requestTls: { ...tlsOptions(options.tls, trust), allowH2: false },
    proxyTls: tlsOptions(options.tls, 'listed'),
  })
  return { dispatcher }
}

function connectionsFor(lane: Lane, connections: number): number {
  if (lane === 'push') return PUSH_CONNECTIONS
  return lane === 'ping' ? PING_CONNECTIONS : connections
}

function poolOptions({ connections, limits }: DispatcherOptions, lane: Lane): Agent.Options {
  return {
    connections: connectionsFor(lane, connections),
    maxOrigins: HOSTS_MAX,
    pipelining: 1,
    allowH2: false,
    clientTtl: null,
    maxRequestsPerClient: 0,
    maxHeaderSize: HEADER_BYTES_MAX,
    // -1: bounded by who reads, since blobs have no bound.
    maxResponseSize: -1,
    strictContentLength: true,
    headersTimeout: limits.headersMs,
    // A blob's own watchdog tells a silent peer from a slow disk; this timer cannot.
    bodyTimeout: lane === 'blob' ? 0 : limits.bodyIdleMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
    keepAliveTimeoutThreshold: 1_000,
  }
}
