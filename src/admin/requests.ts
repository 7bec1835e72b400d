// How requests of the operator's API are read, and answered: as JSON, as events of which each is a
// line, or as bytes.
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from '../observe/log.ts'
import { RegistryError } from '../oci/errors.ts'
import { StoreError } from '../registry/ports/store-error.ts'

/** What is sent last by what fails in the middle, where no status can be sent any more. */
export interface FailedEvent {
  readonly kind: 'failed'
  readonly code: string
  readonly message: string
}

/** One JSON object per line, until the command goes away. */
export function sendEvents(
  reply: FastifyReply,
  follow: (signal: AbortSignal) => AsyncIterable<object>,
): FastifyReply {
  const left = untilLeft(reply)
  const failed = (error: unknown) => {
    if (!left.aborted) FAILED.set(reply.request, error)
  }
  return reply.type('application/x-ndjson').send(Readable.from(lines(follow(left), failed)))
}

const FAILED = new WeakMap<FastifyRequest, unknown>()

/** What ended its events, though its answer was begun with a status of success. */
export function failedBy(request: FastifyRequest): unknown {
  return FAILED.get(request)
}

/** Aborts when the command goes away. */
function untilLeft(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => left.abort(new Error('the command went away')))
  return left.signal
}

async function* lines(
  events: AsyncIterable<object>,
  failed: (error: unknown) => void,
): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${JSON.stringify(event)}\n`
  } catch (error) {
    failed(error)
    const { code, message } = failureOf(error)
    const event: FailedEvent = { kind: 'failed', code, message }
    yield `${JSON.stringify(event)}\n`
  }
}

export function failureOf(error: unknown): { code: string; status: number; message: string } {
  if (error instanceof RegistryError) {
    const { code, status, message, cause } = error
    return { code, status, message: `${message}${cause instanceof Error ? because(cause) : ''}` }
  }
  if (error instanceof StoreError) {
    // Who asks by the socket may know what clients may not.
    const { message, hint } = error
    const status = error.failure === 'full' ? 507 : 503
    return {
      code: 'UNAVAILABLE',
      status,
      message: hint === undefined ? message : `${message}: ${hint}`,
    }
  }
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 415)
    return { code: 'UNSUPPORTED', status: 415, message: 'nothing here takes a body of this type' }
  return {
    code: 'UNKNOWN',
    status: 500,
    message: 'this failed inside the server; its log says why',
  }
}

export interface SentBytes {
  readonly type: string
  /** Of all; undefined where nobody knows. */
  readonly sizeBytes?: number
  readonly logger: Logger
}

/**
 * These bytes; a piece may be written over once the next one is asked for. What fails after the
 * first of them breaks the connection.
 */
export async function sendBytes(
  reply: FastifyReply,
  pieces: AsyncIterable<Uint8Array>,
  { type, sizeBytes, logger }: SentBytes,
): Promise<FastifyReply> {
  const iterator = pieces[Symbol.asyncIterator]()
  // What cannot even begin is an answer of its own.
  let next = await iterator.next()
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, {
    'content-type': type,
    ...(sizeBytes !== undefined && { 'content-length': sizeBytes }),
  })
  let sent = Promise.resolve()
  try {
    while (next.done !== true) {
      await sent
      sent = written(raw, next.value)
      sent.catch(() => {})
      next = await iterator.next()
    }
    await sent
    raw.end()
  } catch (err) {
    if (!raw.destroyed) logger.error({ err }, 'admin request failed')
    raw.destroy()
    await iterator.return?.()
  }
  return reply
}

/** Resolves when the kernel has them. */
function written(raw: FastifyReply['raw'], bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = () => reject(new Error('the command went away'))
    raw.once('close', left)
    raw.write(bytes, error => {
      raw.removeListener('close', left)
      if (error) reject(error)
      else resolve()
    })
  })
}

export function parameters(request: FastifyRequest, name: string): string[] {
  const value = (request.query as Record<string, string | string[] | undefined>)[name]
  return value === undefined ? [] : [value].flat()
}

export function parameter(request: FastifyRequest, name: string): string | undefined {
  return parameters(request, name)[0]
}

export function required(request: FastifyRequest, name: string): string {
  const value = parameter(request, name)
  // What an empty one lacks is said by who reads it.
  if (value !== undefined) return value
  throw new RegistryError('NAME_INVALID', `this request needs ?${name}=`)
}

/** What clients are not told, and the operator needs. */
function because(cause: Error & { readonly hint?: unknown }): string {
  return `: ${cause.message}${typeof cause.hint === 'string' ? `; ${cause.hint}` : ''}`
}
