// The operator's API for other machines: the same as on the socket, for whom access lets in, asked
// at each request. Who it is stands in the audit log. There are no cookies, and a browser is
// refused by what it sends; what it could send for a page without asking first is not taken either.
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Refusal } from '../access/access.ts'
import type { NoteAudit } from '../observe/audit.ts'
import { type ApiDeps, registerApi } from './api.ts'

/** How requests come, and who may. */
export interface Network {
  /** Over TLS, or on loopback alone. */
  createServer(handler: RequestListener): Server
  judge(request: IncomingMessage): Promise<Judged>
}

export interface Judged {
  /** Undefined: it may. */
  readonly refusal: Refusal | undefined
  /** As the audit log calls it. */
  readonly who: string
  /** Its address, as far as there is one. */
  readonly client: string | undefined
}

/** Beside it there is nothing on this address; health and metrics are on their own. */
export function buildNetworkApi(deps: ApiDeps, network: Network) {
  const found = new WeakMap<IncomingMessage, Judged>()
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    trustProxy: false,
    serverFactory: handler => network.createServer(handler),
  })
  app.addHook('onRequest', async (request, reply) => {
    const judged = await network.judge(request.raw)
    found.set(request.raw, judged)
    if (judged.refusal !== undefined) return refuse(reply, judged.refusal, deps.audit, judged)
    return hasBody(request) ? refuseBody(reply) : undefined
  })
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ code: 'UNSUPPORTED', message: 'there is nothing but /api/v1 here' }),
  )
  const askedBy = (request: FastifyRequest) => {
    const judged = found.get(request.raw)
    return judged?.refusal === undefined ? judged : undefined
  }
  registerApi(app, { ...deps, askedBy })
  return app
}

/** No request of this API has one, and forms of pages do. */
function hasBody({ headers }: FastifyRequest): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers
  return length !== '0' || coding !== undefined || headers['content-type'] !== undefined
}

function refuseBody(reply: FastifyReply): FastifyReply {
  const message = 'requests of the operator’s API have no body and no Content-Type'
  return reply.code(415).header('connection', 'close').send({ code: 'UNSUPPORTED', message })
}

const STATUS = { denied: 403, unauthorized: 401, limited: 429, busy: 503, away: 503 } as const
const CODES = {
  denied: 'DENIED',
  unauthorized: 'UNAUTHORIZED',
  limited: 'TOOMANYREQUESTS',
  busy: 'UNAVAILABLE',
  away: 'UNAVAILABLE',
} as const
/** A token is taken as well; who has none knows what to do with this. */
const CHALLENGE = 'Basic realm="the operator\'s API", charset="UTF-8"'

/** Somebody who is known, and who showed nothing, is denied what they asked for. */
function isWrongLogin(kind: Refusal['kind'], who: string): boolean {
  return kind !== 'denied' && who === 'nobody'
}

function refuse(
  reply: FastifyReply,
  refusal: Refusal,
  audit: NoteAudit | undefined,
  { who, client }: Judged,
): FastifyReply {
  const { kind, reason } = refusal
  const status = STATUS[kind]
  audit?.({
    audit: isWrongLogin(kind, who) ? 'login' : 'denied',
    outcome: kind === 'limited' ? 'limited' : 'refused',
    who,
    client,
    method: reply.request.method,
    endpoint: 'admin',
    status,
  })
  if (kind === 'unauthorized') reply.header('www-authenticate', CHALLENGE)
  if ('retryAfterSeconds' in refusal) reply.header('retry-after', refusal.retryAfterSeconds)
  // What it may send behind this is nobody's to read.
  return reply
    .code(status)
    .header('connection', 'close')
    .send({ code: CODES[kind], message: reason })
}
