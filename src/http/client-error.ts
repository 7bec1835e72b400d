// Bytes on a connection that are no HTTP request, or one that came too slowly: node's `clientError`. The answer is written by hand,
// in JSON as everywhere (R121, R229), unless another answer is under way on that connection; that one is the last.
import type { Socket } from 'node:net'
import { errorEnvelope, RegistryError } from '../oci/errors.ts'
import type { Metrics } from '../observe/metrics.ts'
import { HEADER_MAX_BYTES } from './limits.ts'

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

export interface ClientErrorDeps {
  readonly metrics: Metrics
  /** As Connections.endAfterTurn. */
  readonly endAfterTurn: (socket: Socket) => boolean
}

/** The listener for `clientError`; the connection ends, at once or after the answer under way. */
export function createClientErrorHandler({ metrics, endAfterTurn }: ClientErrorDeps) {
  return (error: Error & { code?: string }, socket: Socket): void => {
    // A reset is a client that left; a connection opened in reserve and never used is nobody's error.
    const unused = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0
    if (error.code === 'ECONNRESET' || unused || !socket.writable) {
      socket.destroy()
      return
    }
    // An answer written now would pass for that of the request before.
    if (endAfterTurn(socket)) return
    metrics.count('requestsRefused', { reason: 'malformed' })
    socket.end(rawAnswer(REASONS[error.code ?? ''] ?? MALFORMED))
  }
}

function rawAnswer({ status, message }: { status: string; message: string }): string {
  const body = errorEnvelope(new RegistryError('UNSUPPORTED', message))
  return [
    `HTTP/1.1 ${status}`,
    'Docker-Distribution-API-Version: registry/2.0',
    'Content-Type: application/json',
    'Cache-Control: no-store',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
