// The command line's side of the admin API: one request over the running server's Unix socket, so
// that no password is needed on the machine itself; or to another machine's `admin.api`, with a
// token or a certificate.
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CliError, EXIT_CODES } from './context.ts'

/** An answer for one page is small; a listing of ten thousand images is a few MiB. */
const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024

export type AdminServer =
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'network'
      /** Its origin alone. */
      readonly url: URL
      /** Undefined only with a certificate. */
      readonly token: string | undefined
      /** PEM; over TLS alone. */
      readonly certificate: { readonly cert: string; readonly key: string } | undefined
      /** PEM; default: the authorities that everybody trusts. */
      readonly ca: string | undefined
    }

export interface AdminRequest {
  readonly server: AdminServer
  readonly method?: 'GET' | 'POST'
  /** Below /api/v1. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Ends the request, and its answer. */
  readonly signal?: AbortSignal
  /** Sent while the answer comes; what it throws ends the request. */
  readonly body?: AdminBody
}

export interface AdminBody {
  readonly type: string
  readonly pieces: AsyncIterable<Uint8Array>
}

/** The answer as JSON. @throws CliError what the server said, or that it cannot be reached */
export async function askAdmin<Answer>(wanted: AdminRequest): Promise<Answer> {
  const response = await send(wanted)
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of orLost<Buffer>(response, wanted)) {
    bytes += chunk.length
    if (bytes > LARGEST_ANSWER_BYTES)
      throw new CliError(EXIT_CODES.failed, 'the answer of the server is too large')
    chunks.push(chunk)
  }
  const body = parse(Buffer.concat(chunks).toString('utf8'), wanted)
  if (response.statusCode === 200) return body as Answer
  throw new CliError(EXIT_CODES.failed, messageOf(body))
}

/** The answer line by line, each a JSON object. @throws CliError as askAdmin */
export async function* followAdmin<Event>(wanted: AdminRequest): AsyncGenerator<Event> {
  const response = await send(wanted)
  let first = ''
  for await (const line of orLost<string>(createInterface({ input: response }), wanted)) {
    if (response.statusCode === 200) yield JSON.parse(line) as Event
    else first += line
  }
  if (response.statusCode !== 200)
    throw new CliError(EXIT_CODES.failed, messageOf(parse(first, wanted)))
}

/** The answer's bytes as they come. @throws CliError as askAdmin, also where it is cut */
export async function* readAdmin(wanted: AdminRequest): AsyncGenerator<Uint8Array> {
  const response = await send(wanted)
  if (response.statusCode === 200) return yield* orLost<Uint8Array>(response, wanted)
  let text = ''
  for await (const chunk of orLost<Buffer>(response, wanted)) text += chunk.toString('utf8')
  throw new CliError(EXIT_CODES.failed, messageOf(parse(text, wanted)))
}

/** @throws CliError where something else answers */
function parse(text: string, { server }: AdminRequest): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const message = `what answers at ${placeOf(server)} is no admin.api of an edge`
    throw new CliError(EXIT_CODES.unreachable, message)
  }
}

function send({
  server,
  method = 'GET',
  path,
  query = {},
  signal,
  body,
}: AdminRequest): Promise<IncomingMessage> {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value ?? []].flat()) parameters.append(name, each)
  }
  const target = `/api/v1${path}${parameters.size === 0 ? '' : `?${parameters.toString()}`}`
  return new Promise((resolve, reject) => {
    const sent = open(server, { method, path: target, ...(signal && { signal }) })
    sent.on('response', resolve)
    sent.on('error', error => reject(unreachable(server, error)))
    if (body === undefined) return void sent.end()
    sent.setHeader('content-type', body.type)
    // A server that has answered need not read the rest; what it answered is told.
    pipeline(Readable.from(body.pieces), sent).catch(() => {})
  })
}

function open(
  server: AdminServer,
  how: { readonly method: string; readonly path: string; readonly signal?: AbortSignal },
) {
  if (server.kind === 'socket') {
    const headers = { host: 'localhost' }
    return requestPlain({ socketPath: server.path, ...how, headers })
  }
  const { url, token, certificate, ca } = server
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const { path, ...rest } = how
  const options = { ...rest, headers, ...certificate, ...(ca !== undefined && { ca }) }
  const request = url.protocol === 'https:' ? requestTls : requestPlain
  return request(new URL(path, url), options)
}

/** @throws CliError when the connection breaks before the answer's end */
async function* orLost<Piece>(
  pieces: AsyncIterable<unknown>,
  { server }: AdminRequest,
): AsyncGenerator<Piece> {
  try {
    yield* pieces as AsyncIterable<Piece>
  } catch {
    throw new CliError(
      EXIT_CODES.unreachable,
      `the server at ${placeOf(server)} went away in the middle of its answer: its log says why`,
    )
  }
}

function placeOf(server: AdminServer): string {
  return server.kind === 'socket' ? server.path : server.url.origin
}

function unreachable(server: AdminServer, error: Error): CliError {
  const code = 'code' in error ? String(error.code) : error.message
  const reason = (server.kind === 'socket' ? BY_SOCKET : BY_NETWORK)[code] ?? code
  const message = `cannot reach the server at ${placeOf(server)}: ${reason}`
  return new CliError(EXIT_CODES.unreachable, message)
}

const NOBODY = 'no server listens there: is it running, and with the same --config?'
const UNKNOWN_AUTHORITY =
  'its certificate is of no authority that is trusted here: name it by --ca FILE'
const BY_SOCKET: Readonly<Record<string, string>> = {
  ENOENT: NOBODY,
  ECONNREFUSED: NOBODY,
  EACCES: 'this user may not use it: run the command as the user of the server, or as root',
}
const BY_NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'no server listens there: is it running, and is this its admin.api?',
  ENOTFOUND: 'there is no such host',
  EPROTO: 'it speaks no TLS, or another version of it',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}

function messageOf(body: unknown): string {
  if (typeof body === 'object' && body !== null) {
    if ('message' in body) return String(body.message)
    // Before it is known that it is for operators: as all clients are told.
    if ('errors' in body && Array.isArray(body.errors)) return messageOf(body.errors[0])
  }
  return 'the server refused the request without saying why'
}
