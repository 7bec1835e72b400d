// Requests that write, over raw sockets: a body with its length, or in chunks that do not tell it.
import type { ErrorCode } from '../../../src/oci/errors.ts'
import { get, type RawAnswer } from './raw-client.ts'

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  /** With chunked transfer coding instead of a Content-Length. */
  readonly chunked?: boolean
}

export type Send = (method: string, target: string, sent?: Sent) => Promise<RawAnswer>

/** One connection for each request. `url`: `http://127.0.0.1:port`. */
export function createSend(url: string): Send {
  return (method, target, { headers = {}, body, chunked = false } = {}) => {
    if (body === undefined) return get(url + target, headers, { method })
    if (!chunked) return get(url + target, headers, { method, body })
    const all = { 'transfer-encoding': 'chunked', ...headers }
    return get(url + target, all, { method, coded: inChunks(Buffer.from(body)) })
  }
}

/** A body in pieces of at most `pieceBytes`, as chunked transfer coding writes them. */
export function inChunks(body: Buffer, pieceBytes = 1_000): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < body.length; at += pieceBytes) {
    const piece = body.subarray(at, at + pieceBytes)
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])
}

/** Where to go on; a path that leads nowhere when the answer says none. */
export function locationOf(answer: RawAnswer): string {
  return answer.headers['location'] ?? '/no-location'
}

/** As clients add it, with whatever the target has already. */
export function withDigest(target: string, digest: string): string {
  return `${target}${target.includes('?') ? '&' : '?'}digest=${digest}`
}

/** The code of the first error; throws when the body is no error envelope. */
export function errorCodeOf({ body }: RawAnswer): ErrorCode | undefined {
  return (JSON.parse(body.toString()) as { errors: { code: ErrorCode }[] }).errors[0]?.code
}
