// The operator's API for other machines: the same as on the socket, for whom access lets in, asked
// at each request. Who it is stands in the audit log. There are no cookies, and a browser is
// refused by what it sends; what it could send for a page without asking first is not taken either.
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { fastify, type FastifyRequest } from 'fastify'
import { type Refusal, REFUSAL_CODES } from '../access/access.ts'
import { formatName } from '../access/names.ts'
import { ERROR_CODES } from '../oci/errors.ts'
import type { NoteAudit } from '../observe/audit.ts'
import { redactText } from '../observe/redact.ts'
import { type ApiDeps, registerApi } from './api.ts'
import type { AskedBy } from './audit-actions.ts'

/** How requests come, and who may. */
export interface Network {
  /** Over TLS, or on loopback alone. */
  createServer(handler: RequestListener): Server
  judge(request: IncomingMessage): Promise<Judged>
  /** Ends all connections, and those that come yet. */
  closeAll(): void
}

export type Judged = AskedBy &
  (
    | { readonly refusal: undefined }
    /** `held`: so many of these were not written down before; undefined: nor is this one. */
    | { readonly refusal: Refusal; readonly held: number | undefined }
  )

/** Beside it there is nothing on this address; health and metrics are on their own. */
export function buildNetworkApi(deps: ApiDeps, network: Network) {
  const found = new WeakMap<IncomingMessage, Judged>()
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    trustProxy: false,
    serverFactory: handler =>
      network.createServer((request, response) => {
        admit(request, response).then(
          mayGoOn => mayGoOn && handler(request, response),
          (error: unknown) => fail(response, error),
        )
      }),
  })

  /** Before anything else is read of it: a path that is none tells a stranger no more. */
  async function admit(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const judged = await network.judge(request)
    found.set(request, judged)
    if (judged.refusal !== undefined) refuse(request, response, { ...judged, audit: deps.audit })
    else if (hasBody(request)) answer(response, 415, UNSUPPORTED)
    else return true
    return false
  }

  function fail(response: ServerResponse, err: unknown): void {
    deps.logger.error({ err }, 'admin request failed')
    response.destroy()
  }

  app.addHook('preClose', async () => network.closeAll())
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ code: 'UNSUPPORTED', message: 'there is nothing but /api/v1 here' }),
  )
  const askedBy = ({ raw }: FastifyRequest) => found.get(raw)
  registerApi(app, { ...deps, askedBy })
  return app
}

/** No request of this API has one, and forms of pages do. */
function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers
  return length !== '0' || coding !== undefined || headers['content-type'] !== undefined
}

const UNSUPPORTED = {
  code: 'UNSUPPORTED',
  message: 'requests of the operator’s API have no body and no Content-Type',
}

/** What may be sent behind this is nobody's to read. */
function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  })
  response.end(text)
}

/** A token is taken as well; who has none knows what to do with this. */
const CHALLENGE = 'Basic realm="the operator\'s API", charset="UTF-8"'

const NOBODY = formatName({ kind: 'nobody' })

/** Somebody who is known, and who showed nothing, is denied what they asked for. */
function isWrongLogin(kind: Refusal['kind'], who: string): boolean {
  return kind !== 'denied' && who === NOBODY
}

interface Refused extends AskedBy {
  readonly refusal: Refusal
  readonly held: number | undefined
  readonly audit: NoteAudit | undefined
}

function refuse(
  { method }: IncomingMessage,
  response: ServerResponse,
  { refusal, held, who, client, audit }: Refused,
): void {
  const { kind, reason } = refusal
  const code = REFUSAL_CODES[kind]
  const { status } = ERROR_CODES[code]
  const outcome = kind === 'limited' ? 'limited' : 'refused'
  const why = { rule: 'by' in refusal ? refusal.by : undefined, reason: redactText(reason) }
  const what = { outcome, who, client, method, endpoint: 'admin', status, ...why }
  const line = { ...what, ...(held && { held }) }
  if (held !== undefined) audit?.({ audit: isWrongLogin(kind, who) ? 'login' : 'denied', ...line })
  if (kind === 'unauthorized') response.setHeader('www-authenticate', CHALLENGE)
  if ('retryAfterSeconds' in refusal) response.setHeader('retry-after', refusal.retryAfterSeconds)
  answer(response, status, { code, message: reason })
}
