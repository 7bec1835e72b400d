// The admin listeners, apart from the data port (R196): health and metrics on a TCP address,
// whoever reaches it, and the operator's API beside them on a Unix socket, whose directory decides
// who may; where the configuration asks for it also for other machines (network.ts).
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { browserMark } from '../access/marks.ts'
import { checkReadiness, type ReadinessOptions } from '../observe/health.ts'
import type { Metrics } from '../observe/metrics.ts'
import { type ApiDeps, registerApi } from './api.ts'
import { buildNetworkApi, type Network } from './network.ts'
import { openSocket } from './socket.ts'

export interface AdminDeps extends ApiDeps {
  readonly metrics: Metrics
  readonly readiness: ReadinessOptions
  /** For the API over the network. Default: there is none. */
  readonly network?: Network | undefined
}

export interface AdminApp {
  /**
   * @returns where it listens, with the port that the system chose.
   * @throws when the address is taken
   */
  listen(addr: { readonly host: string | undefined; readonly port: number }): Promise<string>
  /** The operator's API, for other machines: where there is a `network`. As `listen`. */
  listenApi(addr: { readonly host: string | undefined; readonly port: number }): Promise<string>
  /** On the Unix socket of this path. @throws as openSocket */
  listenSocket(path: string): Promise<void>
  close(): Promise<void>
}

export function buildAdminApp(deps: AdminDeps): AdminApp {
  const overTcp = buildListener(deps)
  overTcp.setNotFoundHandler((_request, reply) => {
    const message =
      'this address has /livez, /readyz and /metrics; the API is on the Unix socket (admin.socket), which the command line speaks to'
    return reply.code(404).send({ code: 'UNSUPPORTED', message })
  })
  const overSocket = buildListener(deps)
  overSocket.addHook('onRequest', refuseBrowsers)
  registerApi(overSocket, deps)
  const overNetwork = deps.network && buildNetworkApi(deps, deps.network)
  return {
    listen: async ({ host, port }) => {
      const url = await overTcp.listen({ host: host ?? '::', port })
      return url.replace(/^http:\/\//, '')
    },
    listenApi: async ({ host, port }) => {
      if (overNetwork === undefined) throw new Error('there is no API over the network')
      // One server alone: of this name fastify would make one for each of its addresses.
      const address = host === 'localhost' ? '127.0.0.1' : (host ?? '::')
      const url = await overNetwork.listen({ host: address, port })
      return url.replace(/^http:\/\//, '')
    },
    listenSocket: path => openSocket(overSocket, path),
    close: async () => {
      await Promise.all([overTcp.close(), overSocket.close(), overNetwork?.close()])
    },
  }
}

function buildListener({ metrics, readiness }: AdminDeps): FastifyInstance {
  // Requests of probes and scrapes are not worth a line each; errors are logged where they are
  // handled.
  const app = fastify({ logger: false, forceCloseConnections: true, trustProxy: false })
  app.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/readyz', async (_request, reply) => {
    const state = await checkReadiness(readiness)
    return reply.code(state.ready ? 200 : 503).send(state)
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await metrics.render()
    return reply.type(contentType).send(text)
  })
  return app
}

/**
 * No web page has business with the operator's API. A browser reaches no Unix socket by itself; a
 * proxy that an operator put in front of one would bring it there.
 */
async function refuseBrowsers(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const mark = browserMark(request.raw.rawHeaders)
  if (mark === undefined) return
  const message = `the admin API answers no web pages (${mark} says that a browser asks)`
  await reply.code(403).send({ code: 'DENIED', message })
}
