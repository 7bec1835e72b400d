// One HTTP request and its response's head: no redirects, no authentication, no second try. The
// only place that hands something to undici, so that each attempt is reported once and each failure
// is classified once.
import type { Readable } from 'node:stream'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent, UpstreamCall } from '../../registry/ports/events.ts'
import type { RegistryHost } from '../../oci/reference.ts'
import { ResponseBody } from './response-body.ts'
import { unlessAborted } from '../../async/aborting.ts'
import type { Dispatchers, Lane } from './dispatcher.ts'
import { connectionError } from './errors.ts'
import { type RequestBody, Sending } from './request-body.ts'
import { type ResponseHeaders, responseHeaders } from './response-headers.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface ExchangeRequest {
  readonly call: UpstreamCall
  readonly lane: Lane
  readonly method: Method
  readonly url: URL
  /** Lower-case names. User-Agent and Accept-Encoding are added. */
  readonly headers: Readonly<Record<string, string>>
  /** A string is a form; small. */
  readonly body?: string | RequestBody
  /** Ends the request, and afterwards the body. */
  readonly signal: AbortSignal
}

export interface ExchangeResponse {
  readonly status: number
  readonly headers: ResponseHeaders
  /** Where it came from. */
  readonly url: URL
  readonly body: ResponseBody
  /** False: it came before the request's body was sent, and no more of that is. */
  readonly isSentWhole: boolean
}

/** @throws UpstreamError; the signal's reason when that aborted; what the request's body throws */
export type Exchange = (request: ExchangeRequest) => Promise<ExchangeResponse>

export interface ExchangeOptions {
  readonly registry: RegistryHost
  readonly dispatchers: Dispatchers
  readonly clock: Clock
  readonly note: NoteEvent
  readonly userAgent: string
  readonly bodyIdleMs: number
  /** Sees the head of every response, for rate limits. */
  readonly onHead: (response: Pick<ExchangeResponse, 'headers' | 'url'>) => void
}

export function createExchange(options: ExchangeOptions): Exchange {
  return request => exchange(options, request)
}

async function exchange(
  options: ExchangeOptions,
  request: ExchangeRequest,
): Promise<ExchangeResponse> {
  const { registry, clock, note } = options
  const { host } = request.url
  const startedMs = clock.monotonicMs()
  const report = (outcome: number | UpstreamError['failure']): void => {
    const durationMs = clock.monotonicMs() - startedMs
    note({ kind: 'upstream request', registry, call: request.call, outcome, durationMs })
  }
  const stuck = new AbortController()
  const onStuck = (error: UpstreamError): void => stuck.abort(error)
  const sending =
    typeof request.body === 'object'
      ? new Sending(request.body, { host, clock, onStuck })
      : undefined
  try {
    const response = await send(options, request, { sending, stuck: stuck.signal })
    report(response.status)
    options.onHead(response)
    return response
  } catch (error) {
    sending?.stop()
    if (request.signal.aborted) {
      if (request.signal.reason instanceof UpstreamError) report(request.signal.reason.failure)
      throw request.signal.reason
    }
    if (sending?.failure !== undefined) throw sending.failure.error
    const failure = connectionError(stuck.signal.aborted ? stuck.signal.reason : error, host)
    report(failure.failure)
    throw failure
  }
}

async function send(
  { registry, dispatchers, clock, note, userAgent, bodyIdleMs }: ExchangeOptions,
  request: ExchangeRequest,
  { sending, stuck }: { sending: Sending | undefined; stuck: AbortSignal },
): Promise<ExchangeResponse> {
  const { url, signal } = request
  signal.throwIfAborted()
  const sendSignal = sending === undefined ? signal : AbortSignal.any([signal, stuck])
  const coming = dispatchers.for(url, request.lane).request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: request.method,
    headers: {
      'user-agent': userAgent,
      // Bytes are verified as they are named: as they stand in the registry (R147).
      'accept-encoding': 'identity',
      ...lengthOf(request),
      ...request.headers,
    },
    // Async iterables are pulled as fast as the socket takes them; the library's types do not
    // know them.
    body: (sending?.pieces as unknown as Readable | undefined) ?? formOf(request),
    signal: sendSignal,
    // The library's limit takes a body that moves slowly for a response that does not come.
    ...(sending === undefined ? {} : { headersTimeout: 0 }),
    responseHeaders: 'raw',
  })
  // The library ends a request that waits for a connection only when that is free.
  const response = await unlessAborted(coming, sendSignal)
  const isSentWhole = sending?.isWhole ?? true
  sending?.hold()
  const body = new ResponseBody(response.body, {
    host: url.host,
    clock,
    idleMs: bodyIdleMs,
    signal,
    onBytes: bytes => note({ kind: 'upstream bytes', registry, bytes }),
  })
  body.onClose(() => sending?.stop())
  // With responseHeaders 'raw' this is an array, which the library's types do not know.
  const headers = responseHeaders(response.headers as unknown as string[])
  return { status: response.statusCode, headers, url, body, isSentWhole }
}

function lengthOf({ body }: ExchangeRequest): Record<string, string> {
  return typeof body === 'object' && body.sizeBytes !== undefined
    ? { 'content-length': String(body.sizeBytes) }
    : {}
}

function formOf({ body }: ExchangeRequest): string | null {
  return typeof body === 'string' ? body : null
}
