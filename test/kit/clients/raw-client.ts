// A client that is less polite than undici: it sends exactly the bytes it is given over a socket,
// keeps the raw header list, reads slowly or stops, and tells a complete answer from one that was
// cut. One request per connection.
import type { Socket } from 'node:net'
import { openConnection } from '../over-tls.ts'
import { RawAnswerParser } from './raw-answer.ts'

export interface RawAnswer {
  /** 0 when the connection ended before the end of the head. */
  readonly status: number
  /** Lower-case names; several values are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** As received: name, value, name, value. */
  readonly rawHeaders: readonly string[]
  /** Without the chunked coding; empty when `onBytes` was given. */
  readonly body: Buffer
  readonly bodyBytes: number
  /** False when the connection ended before the promised end of the body, or of the head. */
  readonly complete: boolean
}

export interface RawRequest {
  /** Default GET. For sendRaw it only tells whether a body is to be expected. */
  readonly method?: string
  readonly body?: Buffer | string
  /**
   * Takes the place of `body`: goes out as it is, and what tells its length is among the headers.
   */
  readonly coded?: Buffer
  /**
   * Ends its side when nothing was answered for so long: whoever waits for the rest of a body then
   * knows that none comes.
   */
  readonly halfCloseAfterMs?: number
  /** Sees each piece of the body, which is then not collected; a promise holds the reading back. */
  readonly onBytes?: (piece: Buffer, totalBytes: number) => void | Promise<void>
  /** Cuts the connection once so many bytes of the body have come. */
  readonly abortAfterBytes?: number
  /** Cuts the connection. */
  readonly signal?: AbortSignal
}

/** One request with `connection: close`. @throws when no connection could be made. */
export function get(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  request: RawRequest = {},
): Promise<RawAnswer> {
  const { host, pathname, search } = new URL(url)
  const body = Buffer.from(request.body ?? '')
  const fields = {
    host,
    connection: 'close',
    ...(request.body === undefined ? {} : { 'content-length': String(body.length) }),
    ...headers,
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `${request.method ?? 'GET'} ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`
  return sendRaw(url, Buffer.concat([Buffer.from(head, 'latin1'), request.coded ?? body]), request)
}

export interface SentRequest {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
}

/**
 * One request of any method. A `body` goes with its Content-Length; without one, what is no GET or
 * HEAD says that it has none, as clients do.
 * @throws as get
 */
export function send(
  url: string,
  method: string,
  { headers = {}, body }: SentRequest = {},
): Promise<RawAnswer> {
  const isRead = method === 'GET' || method === 'HEAD'
  const sent = body ?? (isRead ? undefined : '')
  return get(url, headers, { method, ...(sent === undefined ? {} : { body: sent }) })
}

/**
 * Sends exactly `bytes` to host and port of `url`, and reads one answer.
 * @throws when no connection could be made.
 */
export async function sendRaw(
  url: string,
  bytes: Buffer | string,
  request: RawRequest = {},
): Promise<RawAnswer> {
  const socket = await openConnection(url)
  const abort = () => socket.destroy()
  let giveUp: NodeJS.Timeout | undefined
  request.signal?.addEventListener('abort', abort)
  try {
    if (request.signal?.aborted === true) socket.destroy()
    // The peer may answer and close before it has read everything; that is its right.
    socket.write(bytes, () => {})
    if (request.halfCloseAfterMs !== undefined) {
      giveUp = setTimeout(() => socket.end(), request.halfCloseAfterMs)
      socket.once('data', () => clearTimeout(giveUp))
    }
    return await readAnswer(socket, request)
  } finally {
    clearTimeout(giveUp)
    request.signal?.removeEventListener('abort', abort)
    socket.destroy()
  }
}

async function readAnswer(socket: Socket, request: RawRequest): Promise<RawAnswer> {
  const parser = new RawAnswerParser(request.method === 'HEAD')
  const collected: Buffer[] = []
  let bodyBytes = 0
  for await (const input of socketPieces(socket)) {
    for (const piece of parser.push(input)) {
      bodyBytes += piece.length
      if (request.onBytes === undefined) collected.push(piece)
      else await request.onBytes(piece, bodyBytes)
    }
    if (parser.done || bodyBytes >= (request.abortAfterBytes ?? Infinity)) break
  }
  const { status, headers, rawHeaders } = parser
  const complete = parser.done || (parser.complete && socket.readableEnded)
  return { status, headers, rawHeaders, body: Buffer.concat(collected), bodyBytes, complete }
}

/** What comes from the socket until it ends in any way; a reset is an end too. */
async function* socketPieces(socket: Socket): AsyncGenerator<Buffer> {
  try {
    for await (const piece of socket) yield piece as Buffer
  } catch {
    // The parser knows that something is missing.
  }
}
