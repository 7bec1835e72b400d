// The command line's side of the admin API: one request over the running server's Unix socket, so
// that no password is needed on the machine itself.
import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { CliError, EXIT_CODES } from './context.ts'

/** An answer for one page is small; a listing of ten thousand images is a few MiB. */
const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024

export interface AdminRequest {
  readonly socket: string
  readonly method?: 'GET' | 'POST'
  /** Below /api/v1. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>
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
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
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
    throw new CliError(EXIT_CODES.failed, messageOf(JSON.parse(first)))
}

function send({
  socket,
  method = 'GET',
  path,
  query = {},
}: AdminRequest): Promise<IncomingMessage> {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value ?? []].flat()) parameters.append(name, each)
  }
  const target = `/api/v1${path}${parameters.size === 0 ? '' : `?${parameters.toString()}`}`
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath: socket, method, path: target, headers: { host: 'localhost' } },
      resolve,
    )
    sent.on('error', error => reject(unreachable(socket, error)))
    sent.end()
  })
}

/** @throws CliError when the connection breaks before the answer's end */
async function* orLost<Piece>(
  pieces: AsyncIterable<unknown>,
  { socket }: AdminRequest,
): AsyncGenerator<Piece> {
  try {
    yield* pieces as AsyncIterable<Piece>
  } catch {
    throw new CliError(
      EXIT_CODES.unreachable,
      `the server at ${socket} went away in the middle of its answer: its log says why`,
    )
  }
}

function unreachable(socket: string, error: Error): CliError {
  const code = 'code' in error ? String(error.code) : error.message
  const reason =
    code === 'ENOENT' || code === 'ECONNREFUSED'
      ? 'no server listens there: is it running, and with the same --config?'
      : code === 'EACCES'
        ? 'this user may not use it: run the command as the user of the server, or as root'
        : code
  return new CliError(EXIT_CODES.unreachable, `cannot reach the server at ${socket}: ${reason}`)
}

function messageOf(body: unknown): string {
  return typeof body === 'object' && body !== null && 'message' in body
    ? String(body.message)
    : 'the server refused the request without saying why'
}
