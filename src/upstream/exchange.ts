// One HTTP request and its answer's head: no redirects, no authentication, no second try. The only place that hands something
// to undici, so that each attempt is reported once and each failure is classified once.
import { UpstreamError } from '../registry/ports/upstream.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent, UpstreamCall } from '../registry/ports/events.ts'
import type { RegistryHost } from '../oci/reference.ts'
import { type AnswerBody, answerBody } from './answer-body.ts'
import type { Dispatchers, Lane } from './dispatcher.ts'
import { connectionError } from './errors.ts'
import { type ResponseHeaders, responseHeaders } from './response-headers.ts'

export interface ExchangeRequest {
  readonly call: UpstreamCall
  readonly lane: Lane
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  /** Lower-case names. User-Agent and Accept-Encoding are added. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Ends the request, and afterwards the body. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  /** Where it came from. */
  readonly url: URL
  readonly body: AnswerBody
}

/** @throws UpstreamError; the signal's reason when that aborted */
export type Exchange = (request: ExchangeRequest) => Promise<Answer>

export interface ExchangeOptions {
  readonly registry: RegistryHost
  readonly dispatchers: Dispatchers
  readonly clock: Clock
  readonly note: NoteEvent
  readonly userAgent: string
  readonly bodyIdleMs: number
  /** Sees the head of every answer, for rate limits. */
  readonly onHead: (answer: Pick<Answer, 'headers' | 'url'>) => void
}

export function createExchange(options: ExchangeOptions): Exchange {
  const { registry, dispatchers, clock, note } = options

  return async request => {
    const startedMs = clock.monotonicMs()
    const report = (outcome: number | UpstreamError['failure']): void => {
      const durationMs = clock.monotonicMs() - startedMs
      note({ kind: 'upstream request', registry, call: request.call, outcome, durationMs })
    }
    try {
      const answer = await send(request, options)
      report(answer.status)
      options.onHead(answer)
      return answer
    } catch (error) {
      if (request.signal.aborted) {
        if (request.signal.reason instanceof UpstreamError) report(request.signal.reason.failure)
        throw request.signal.reason
      }
      const failure = connectionError(error, request.url.host)
      report(failure.failure)
      throw failure
    }
  }

  async function send(request: ExchangeRequest, { userAgent, bodyIdleMs }: ExchangeOptions) {
    const { url, signal } = request
    signal.throwIfAborted()
    const response = await dispatchers.for(url, request.lane).request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method,
      headers: {
        'user-agent': userAgent,
        // Bytes are verified as they are named: as they stand in the registry (R147).
        'accept-encoding': 'identity',
        ...request.headers,
      },
      body: request.body ?? null,
      signal,
      responseHeaders: 'raw',
    })
    const body = answerBody(response.body, {
      host: url.host,
      clock,
      idleMs: bodyIdleMs,
      signal,
      onBytes: bytes => note({ kind: 'upstream bytes', registry, bytes }),
    })
    // With responseHeaders 'raw' this is an array, which the library's types do not know.
    const headers = responseHeaders(response.headers as unknown as string[])
    return { status: response.statusCode, headers, url, body }
  }
}
