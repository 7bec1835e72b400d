// One request and its answer, as a value that is passed along: node's two objects, the id, and what
// the log line will say.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EndpointLabel, OutcomeLabel, SourceLabel } from '../observe/metrics-table.ts'
import type { Login } from '../access/accounts.ts'
import type { RequestSummary, Requester } from '../observe/note-request.ts'
import type { BlobSender } from './send/blob-sender.ts'
import { isDelivered, isWaitedFor } from './end-answer.ts'
import { isPrintable } from './answer.ts'
import type { HotMiss } from './memory/hot-answers.ts'
import { WAITING_BODY_MAX_BYTES, WAITING_REQUEST_BYTES } from './limits.ts'
import { type RequestPrincipal, whoIs } from './principal.ts'
import type { Caller } from './proxies/callers.ts'

/**
 * What becomes known while a request is answered; written by whoever knows it, read once at the
 * end.
 */
export interface RequestRecord {
  endpoint: EndpointLabel
  repository: string | undefined
  reference: string | undefined
  /** For `OCI-Namespace`, when `ns` chose the upstream (R32). */
  namespace: string | undefined
  source: SourceLabel
  /** Of a body that goes out at once. */
  sentBytes: number
  /** Of a body that is a blob: what sends it, and counts. */
  sender: Pick<BlobSender, 'sentBytes' | 'taken' | 'failure'> | undefined
  /** Body bytes of the request that were taken in. */
  receivedBytes: number
  /** Why it was refused or failed. */
  error: Error | undefined
  /** Which rule of access denied it: for the log alone. */
  deniedBy: string | undefined
  /** Access was asked about it, so that the log says who it is from. */
  isJudged: boolean
  /** What came of it, where a token was asked for. */
  login: Login | undefined
  /** We broke the connection because the answer could not be finished. */
  cut: boolean
}

/** How far the request's body was taken in; request-body.ts keeps it. */
export interface BodyState {
  /** `whole`: nothing of it is left on the connection. */
  read: 'nothing' | 'part' | 'whole'
  /** Why no more of it will come. */
  failure: Error | undefined
  /** Tells who waits for more of it. */
  wake: (() => void) | undefined
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
  /** When it came. */
  readonly caller: Caller
  /** Who sent it. */
  readonly principal: RequestPrincipal
  /** Monotonic. */
  readonly startedMs: number
  readonly record: RequestRecord
  readonly body: BodyState
  /** Set where the answer may be remembered. */
  readonly hot: HotMiss | undefined
}

export function createExchange(
  request: IncomingMessage,
  response: ServerResponse,
  facts: Pick<Exchange, 'requestId' | 'caller' | 'principal' | 'startedMs' | 'hot'>,
): Exchange {
  return {
    request,
    response,
    ...facts,
    record: {
      endpoint: 'none',
      repository: undefined,
      reference: undefined,
      namespace: undefined,
      source: 'none',
      sentBytes: 0,
      sender: undefined,
      receivedBytes: 0,
      error: undefined,
      deniedBy: undefined,
      isJudged: false,
      login: undefined,
      cut: false,
    },
    body: { read: 'nothing', failure: undefined, wake: undefined },
  }
}

/**
 * What may be the id of a request: what a client sends goes into the log and back into a header.
 */
const CLIENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/

/** `sent`: the value of X-Request-Id. Ours, unless that is plainly an id. */
export type RequestIdOf = (sent: unknown) => string

/** `prefix` tells processes apart, such as 8 random characters; a counter follows it. */
export function createRequestIds(prefix: string): RequestIdOf {
  let count = 0
  return sent => {
    if (typeof sent === 'string' && CLIENT_ID.test(sent)) return sent
    count += 1
    return `${prefix}-${count.toString(36)}`
  }
}

/** Will a body follow this request's head, as far as the head says? */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  return coding !== undefined || (length !== undefined && Number(length) !== 0)
}

/** What a request holds of which nobody has taken anything yet. */
export function heldBytes(request: IncomingMessage): number {
  const { 'content-length': length } = request.headers
  const body = hasBody(request) ? Math.min(Number(length ?? Infinity), WAITING_BODY_MAX_BYTES) : 0
  let bytes = WAITING_REQUEST_BYTES + body + (request.url?.length ?? 0)
  for (const text of request.rawHeaders) bytes += text.length
  return bytes
}

/** While anything but the client is waited for: how much of the body has come. */
export function awaitedBytes({ response, record }: Exchange): number | undefined {
  const { sender, sentBytes } = record
  if (sender !== undefined) return sender.taken() === undefined ? sender.sentBytes : undefined
  return isWaitedFor(response) ? undefined : sentBytes
}

/** What is left to say when the answer was finished or the connection is gone. */
export function summarize(exchange: Exchange, nowMs: number): RequestSummary {
  const { request, response, record } = exchange
  const { endpoint, repository, reference, source, receivedBytes, sender } = record
  const path = endpoint === 'none' ? pathOf(request.url ?? '') : undefined
  return {
    requestId: exchange.requestId,
    method: request.method ?? '',
    endpoint,
    repository,
    reference,
    path,
    status: response.headersSent ? response.statusCode : 0,
    source,
    sentBytes: sender?.sentBytes ?? record.sentBytes,
    receivedBytes,
    durationMs: nowMs - exchange.startedMs,
    outcome: outcomeOf(exchange),
    error: sender?.failure ?? record.error,
    deniedBy: record.deniedBy,
    client: exchange.caller.address,
    userAgent: request.headers['user-agent'],
    who: whoOf(exchange),
  }
}

function whoOf({ principal, record: { isJudged, login } }: Exchange): Requester | undefined {
  if (!isJudged) return undefined
  return login === undefined ? principal.who : whoIs(login, principal)
}

/** An `aborted` answer is the client's choice and no error (R52). */
function outcomeOf({ response, record }: Exchange): OutcomeLabel {
  if (record.cut || record.sender?.failure !== undefined) return 'failed'
  if (!isDelivered(response)) return 'aborted'
  return response.statusCode >= 500 ? 'failed' : 'completed'
}

/** Without the query, which may carry somebody's signature. */
function pathOf(target: string): string {
  const path = target.split('?', 1)[0] ?? ''
  return isPrintable(path) ? path : '[not printable]'
}
