// Node's HTTP server as the data port has it: how it reads HTTP, and who hears of what it does not
// make a request of. What is done with requests is serve.ts's.
import { createServer, type Server, type ServerOptions } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { ShownCertificate } from '../access/access.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { createClientErrorHandler, createConnectHandler } from './client-error.ts'
import type { Connections } from './connections.ts'
import {
  CONNECTIONS_CHECK_INTERVAL_MS,
  CONNECTIONS_MAX,
  HEADER_MAX_BYTES,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
} from './limits.ts'
import type { Callers } from './proxies/callers.ts'
import { ProxyHeaders } from './proxies/proxy-headers.ts'
import type { Serve } from './serve.ts'

/** What speaks HTTP: plain, or through TLS. */
export interface Transport {
  /** Takes `options` as they are, and adds none that change how HTTP is read. */
  readonly createServer: (options: ServerOptions) => Server | HttpsServer
  /** The event that tells of a connection over which requests come. */
  readonly connected: 'connection' | 'secureConnection'
  /**
   * Ends connections that have said nothing yet, and of which `connected` has not told therefore.
   */
  readonly closeUnready?: () => void
  /**
   * Ends all that are open, those of which `connected` has not told among them. Absent where it
   * tells of each at once.
   */
  readonly closeAll?: () => void
  /** What came of the certificate that a connection began with. Absent: none shows any. */
  readonly certificateOf?: (socket: Socket) => ShownCertificate
  /** It showed a certificate that was judged by authorities of before: it is to begin anew. */
  readonly isOutdated?: (socket: Socket) => boolean
}

export const PLAIN: Transport = { createServer, connected: 'connection' }

export interface Wire {
  readonly transport: Transport
  /** That serve beside each other, this one included. */
  readonly threads: number
  readonly connections: Connections
  readonly callers: Callers
  readonly serve: Serve
}

export interface DataServer {
  readonly server: Server | HttpsServer
  readonly proxyHeaders: ProxyHeaders
}

export function openServer(
  { transport, threads, connections, callers, serve }: Wire,
  deps: { readonly metrics: Metrics; readonly logger: Logger; readonly clock: Clock },
): DataServer {
  const { metrics } = deps
  const byHand = {
    metrics,
    endAfterTurn: (socket: Socket) => connections.endAfterTurn(socket),
  }
  const server = createDataServer(transport, serve)
  server.maxConnections = Math.ceil(CONNECTIONS_MAX / threads)
  server.on('drop', () => metrics.count('requestsRefused', { reason: 'connections' }))
  server.on('clientError', createClientErrorHandler(byHand))
  server.on('connect', createConnectHandler(byHand))
  server.on(transport.connected, (socket: Socket) => {
    callers.connected(socket)
    connections.opened(socket)
  })
  return { server, proxyHeaders: new ProxyHeaders(server, { ...deps, callers }) }
}

/**
 * What carries an `Expect` goes the same way as other requests: whoever reads the body sends the
 * 100 (R15, R229).
 */
function createDataServer(transport: Transport, serve: Serve): Server | HttpsServer {
  const server = transport.createServer({
    maxHeaderSize: HEADER_MAX_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    // Measured to the end of the body, so it would cut long uploads (R228). Bodies have a limit of
    // their own (request-body.ts), and those that nobody wants end the connection.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS,
    // A missing Host is refused in JSON, in admit.ts.
    requireHostHeader: false,
    noDelay: true,
    // Most requests have no body, and what reads none needs no stream for it.
    optimizeEmptyRequests: true,
  })
  // Who has ended its side may wait for its answers all the same; connections.ts sees to how long.
  // Node's types do not tell of it.
  Object.assign(server, { httpAllowHalfOpen: true })
  // Else those beyond 1,000 are dropped without a word, and with them what a proxy adds behind
  // those of its client. How many there may be, HEADER_MAX_BYTES says.
  server.maxHeadersCount = 0
  server.on('request', serve)
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)
  return server
}
