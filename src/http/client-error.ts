// What node gives no response object for: bytes that are no HTTP request, or one that came too
// slowly (`clientError`), and CONNECT. The answer is written by hand, in JSON as everywhere (R121,
// R229), unless another answer is under way on that connection; that one is the last.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { errorEnvelope, RegistryError } from '../oci/errors.ts'
import type { Metrics } from '../observe/metrics.ts'
import { HEADER_MAX_BYTES, LINGER_MS, STALLED_READER_MS } from './limits.ts'

const REASONS: Readonly<Record<string, { status: string; message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    message: `the headers of a request have at most ${HEADER_MAX_BYTES} bytes in all`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    message: 'the request came too slowly',
  },
}
const MALFORMED = { status: '400 Bad Request', message: 'this is no valid HTTP request' }
/** To a port that speaks TLS. */
export const PLAIN_HTTP = {
  status: '400 Bad Request',
  message:
    'this port speaks TLS and got plain HTTP: call the registry by https, and do not list it as insecure',
}
const CONNECT = {
  status: '405 Method Not Allowed',
  message: 'this is a registry and no proxy: CONNECT is no method of the registry protocol',
  headers: ['Allow: GET, HEAD'],
}

export interface ClientErrorDeps {
  readonly metrics: Metrics
  /** As Connections.endAfterTurn. */
  readonly endAfterTurn: (socket: Socket) => boolean
}

/** The listener for `clientError`; the connection ends, at once or after the answer under way. */
export function createClientErrorHandler({ metrics, endAfterTurn }: ClientErrorDeps) {
  const answered = new WeakSet<Socket>()
  return (error: Error & { code?: string }, socket: Socket): void => {
    // The rest of what was refused: read and dropped, because closing with unread bytes may
    // overtake the answer.
    if (answered.has(socket) && error.code !== 'ECONNRESET') return
    // A reset is a client that left; a connection opened in reserve and never used is nobody's
    // error.
    const unused = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0
    if (error.code === 'ECONNRESET' || unused || !socket.writable) {
      socket.destroy()
      return
    }
    // An answer written now would pass for that of the request before.
    if (endAfterTurn(socket)) return
    metrics.count('requestsRefused', { reason: 'malformed' })
    answered.add(socket)
    socket.setTimeout(LINGER_MS, () => socket.destroy())
    socket.end(rawAnswer(REASONS[error.code ?? ''] ?? MALFORMED))
  }
}

/**
 * The listener for `connect`: this is no proxy. Node lets go of the connection: errors, timers and
 * room for more are ours to hear of.
 */
export function createConnectHandler({ metrics, endAfterTurn }: ClientErrorDeps) {
  return ({ socket }: IncomingMessage, stream: Duplex): void => {
    const end = () => socket.destroy()
    stream.on('error', end)
    if (endAfterTurn(socket)) {
      // The answer under way hears of no timer any more. This one does not see what the kernel
      // sends, which nobody minds who does so.
      socket.setTimeout(STALLED_READER_MS, end)
      return
    }
    socket.setTimeout(LINGER_MS, end)
    metrics.count('requestsRefused', { reason: 'malformed' })
    // What is sent for the other end of a tunnel is dropped: unread, it would reset the connection.
    stream.resume()
    stream.end(rawAnswer(CONNECT), end)
  }
}

interface RawAnswer {
  readonly status: string
  readonly message: string
  readonly headers?: readonly string[]
}

/** A whole answer for a connection that node has no response for; the connection ends with it. */
export function rawAnswer({ status, message, headers = [] }: RawAnswer): string {
  const body = errorEnvelope(new RegistryError('UNSUPPORTED', message))
  return [
    `HTTP/1.1 ${status}`,
    'Docker-Distribution-API-Version: registry/2.0',
    'Content-Type: application/json',
    'Cache-Control: no-store',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
    '',
    body,
  ].join('\r\n')
}
