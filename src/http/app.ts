// The data port as a fastify instance. Fastify gives the server, `inject` and the orderly close; it neither routes nor parses,
// because names are parsed from the raw target and bodies are read by those who want them. Nobody listens here: server.ts does.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import type { Access } from '../access/access.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createNoteRequest } from '../observe/note-request.ts'
import type { Registry } from '../registry/answers.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { createClientErrorHandler, createConnectHandler } from './client-error.ts'
import { createConnections } from './connections.ts'
import {
  CONNECTIONS_CHECK_INTERVAL_MS,
  CONNECTIONS_MAX,
  HEADER_MAX_BYTES,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  MANIFEST_BODIES_MAX_BYTES,
  REQUESTS_MAX,
} from './limits.ts'
import { createMemoryBudget } from './memory-budget.ts'
import { createRequestIds } from './request-id.ts'
import { createServe, type Serve } from './serve.ts'

export interface HttpOptions {
  /** Requests at once in this process. Default REQUESTS_MAX. */
  readonly requestsMax?: number
}

export interface AppDeps {
  readonly registry: Registry
  readonly access: Access
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  readonly options?: HttpOptions
}

const REQUEST_ID_PREFIX_BYTES = 4

export function buildApp(deps: AppDeps): FastifyInstance {
  const { metrics, logger } = deps
  const connections = createConnections()
  let draining = false
  const serve = createServe({
    ...deps,
    noteRequest: createNoteRequest({ logger, metrics }),
    connections,
    memory: createMemoryBudget(MANIFEST_BODIES_MAX_BYTES),
    requestIdOf: createRequestIds(randomBytes(REQUEST_ID_PREFIX_BYTES).toString('hex')),
    requestsMax: deps.options?.requestsMax ?? REQUESTS_MAX,
    draining: () => draining,
    onIdle: () => connections.closeIdle(),
  })

  const byHand = {
    metrics,
    endAfterTurn: (socket: Socket) => connections.endAfterTurn(socket),
  }
  const app = fastify({
    serverFactory: handler => createDataServer(handler as Serve, serve),
    clientErrorHandler: createClientErrorHandler(byHand),
    // A target that fastify cannot decode is one that parseTarget will refuse in our words.
    frameworkErrors: (_error, request, reply) => {
      reply.hijack()
      serve(request.raw, reply.raw)
    },
    trustProxy: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  })
  app.server.on('connect', createConnectHandler(byHand))
  app.server.on('connection', socket => connections.opened(socket))
  app.addHook('preClose', done => {
    draining = true
    // With this fastify stops listening; what is open and idle then ends here.
    done()
    connections.closeIdle()
  })
  // In the first hook, before fastify looks at methods it does not know, media types and bodies.
  app.addHook('onRequest', (request, reply) => {
    reply.hijack()
    serve(request.raw, reply.raw)
  })
  return app
}

/** `viaFastify` for ordinary requests; what carries an `Expect` goes the same way, and whoever reads the body sends the 100 (R15, R229). */
function createDataServer(viaFastify: Serve, serve: Serve) {
  const server = createServer(
    {
      maxHeaderSize: HEADER_MAX_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Measured to the end of the body, so it would cut long uploads (R228). Bodies have a limit of their own (request-body.ts), and
      // those that nobody wants end the connection.
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS,
      // A missing Host is refused in JSON, in admit.ts.
      requireHostHeader: false,
      noDelay: true,
    },
    viaFastify,
  )
  server.maxConnections = CONNECTIONS_MAX
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)
  return server
}
