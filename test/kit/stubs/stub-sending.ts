// Puts one answer of a stub on the wire, with its fault: when bytes go out, which, and how the
// connection ends.
import { gzipSync } from 'node:zlib'
import type { ServerResponse } from 'node:http'
import type { Fault } from './stub-faults.ts'
import type { StubRequest } from './stub-requests.ts'

/** Bytes to send: content from `offset` on, made piece by piece. */
export interface Body {
  readonly sizeBytes: number
  /** Where in the content this body begins; the offset that `flipAt` counts from. */
  readonly contentOffset: number
  /** Offsets count from the beginning of this body. */
  read(offset: number, lengthBytes: number): Buffer
}

export interface Answer {
  readonly status: number
  /** Without Content-Length, which comes from the body. Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Body
}

export function bufferBody(bytes: Buffer | string): Body {
  const buffer = Buffer.from(bytes)
  return {
    sizeBytes: buffer.length,
    contentOffset: 0,
    read: (offset, lengthBytes) => Buffer.from(buffer.subarray(offset, offset + lengthBytes)),
  }
}

/** One write: large enough to be quick, small enough that a fault strikes close to its byte. */
const PIECE_BYTES = 128 * 1024
/**
 * A connection with a rate of its own writes ten times a second, or oftener where that is more than
 * a network hands over at once.
 */
const TRICKLE_MS = 100
const TRICKLE_MAX_BYTES = 64 * 1024

/** Resolves when all was sent or the connection is gone; never rejects. */
export async function sendAnswer(
  response: ServerResponse,
  request: StubRequest,
  { answer, fault }: { answer: Answer; fault: Fault },
): Promise<void> {
  // Node takes the socket away from a response that has ended.
  const { socket } = response
  const closed = new Promise<'closed'>(resolve => {
    response.once('close', () => {
      request.closed = true
      resolve('closed')
    })
  })
  if (fault.latencyMs !== undefined) await delay(fault.latencyMs, closed)
  if (fault.dropConnection === true) return void socket?.destroy()
  if (fault.stallHeaders === true) return void (await closed)
  const body = bodyWithFault(answer.body, fault)
  writeHead(response, { ...answer, body }, fault)
  request.status = response.statusCode
  response.flushHeaders()
  if (request.method !== 'HEAD') {
    const whole = await sendBody({ response, request, body, fault, closed })
    if (!whole) return
  }
  request.finished = true
  response.end()
  // The head promised more: only the end of the connection can end this answer.
  if ((fault.lengthDelta ?? 0) > 0 || fault.untilClose === true) socket?.destroySoon()
}

function bodyWithFault(body: Body, fault: Fault): Body {
  if (fault.gzip === true) return bufferBody(gzipSync(body.read(0, body.sizeBytes)))
  const keptBytes = Math.max(0, body.sizeBytes - (fault.missingBytes ?? 0))
  const sizeBytes = fault.endless === true ? Infinity : keptBytes + (fault.extraBytes ?? 0)
  const read = (offset: number, lengthBytes: number): Buffer => {
    const fromBody = Math.max(0, Math.min(lengthBytes, keptBytes - offset))
    const piece = fromBody === 0 ? Buffer.alloc(0) : body.read(offset, fromBody)
    flip(piece, (fault.flipAt ?? -1) - body.contentOffset - offset)
    return fromBody === lengthBytes
      ? piece
      : Buffer.concat([piece, Buffer.alloc(lengthBytes - fromBody, 0x20)])
  }
  return { sizeBytes, contentOffset: body.contentOffset, read }
}

function flip(piece: Buffer, index: number): void {
  if (index >= 0 && index < piece.length) piece[index] = (piece[index] ?? 0) ^ 1
}

function writeHead(response: ServerResponse, answer: Answer, fault: Fault): void {
  response.statusCode = answer.status
  response.sendDate = true
  const unsized = fault.chunked === true || fault.untilClose === true || fault.endless === true
  const lengthBytes = answer.body.sizeBytes + (fault.lengthDelta ?? 0)
  const headers: Record<string, string | readonly string[] | null> = {
    ...answer.headers,
    ...(unsized ? {} : { 'content-length': String(Math.max(0, lengthBytes)) }),
    ...(fault.gzip === true ? { 'content-encoding': 'gzip' } : {}),
    ...(fault.digestHeader === undefined ? {} : { 'docker-content-digest': fault.digestHeader }),
    ...(fault.mediaType === undefined ? {} : { 'content-type': fault.mediaType }),
    ...fault.headers,
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value !== null) response.setHeader(name, value)
  }
  if (fault.untilClose === true) {
    response.shouldKeepAlive = false
    response.useChunkedEncodingByDefault = false
  }
}

interface Sending {
  readonly response: ServerResponse
  readonly request: StubRequest
  readonly body: Body
  readonly fault: Fault
  readonly closed: Promise<'closed'>
}

/** False when the connection was ended, by the fault or by the client. */
async function sendBody({ response, request, body, fault, closed }: Sending): Promise<boolean> {
  const bytesPerMs = (fault.bytesPerSecond ?? Number.POSITIVE_INFINITY) / 1000
  const trickleBytes = Math.min(TRICKLE_MAX_BYTES, Math.round(bytesPerMs * TRICKLE_MS))
  const pieceBytes = fault.bytesPerSecond === undefined ? PIECE_BYTES : Math.max(1, trickleBytes)
  let dueMs = performance.now()
  let barrier = fault.barrier
  for (let offset = 0; ; ) {
    if (offset === fault.truncateAt) return end(response, 'fin')
    if (offset === fault.resetAt) return end(response, 'reset')
    if (offset === fault.stallAt) return (await closed) !== 'closed'
    if (barrier !== undefined && barrier.atBytes <= body.contentOffset + offset) {
      if ((await Promise.race([barrier.wait(), closed])) === 'closed') return false
      barrier = undefined
    }
    if (offset >= body.sizeBytes) return true
    const ahead = stops(fault, body).filter(stop => stop > offset)
    const nextStop = Math.min(...ahead, body.sizeBytes)
    const piece = body.read(offset, Math.min(pieceBytes, nextStop - offset))
    if (!(await write(response, piece, closed))) return false
    offset += piece.length
    request.bytesSent += piece.length
    if (fault.bytesPerSecond === undefined) continue
    const nowMs = performance.now()
    // A timer that was late is made up for; a client that read nothing is not.
    dueMs = Math.max(dueMs, nowMs - TRICKLE_MS) + piece.length / bytesPerMs
    if (dueMs > nowMs) await delay(dueMs - nowMs, closed)
  }
}

function stops(fault: Fault, { contentOffset }: Body): number[] {
  const barrierAt = fault.barrier === undefined ? undefined : fault.barrier.atBytes - contentOffset
  return [fault.truncateAt, fault.resetAt, fault.stallAt, barrierAt].filter(
    stop => stop !== undefined,
  )
}

function end(response: ServerResponse, how: 'fin' | 'reset'): false {
  if (how === 'fin') response.socket?.destroySoon()
  else response.socket?.resetAndDestroy()
  return false
}

/** Waits until the kernel has the piece, so that what counts as sent was sent. */
function write(
  response: ServerResponse,
  piece: Buffer,
  closed: Promise<'closed'>,
): Promise<boolean> {
  const written = new Promise<boolean>(resolve => {
    response.write(piece, error => resolve(error === null || error === undefined))
  })
  return Promise.race([written, closed.then(() => false)])
}

/** The stub models time: this is the fault itself, never a wait for something to have happened. */
async function delay(delayMs: number, closed: Promise<unknown>): Promise<void> {
  const timer = Promise.withResolvers<void>()
  const handle = setTimeout(timer.resolve, delayMs)
  await Promise.race([timer.promise, closed])
  clearTimeout(handle)
}
