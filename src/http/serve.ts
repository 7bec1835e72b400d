// The life of one request on the data port: its turn on the connection, dispatch, answer, and what
// is noted when it is over.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Access } from '../access/access.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { NoteRequest } from '../observe/note-request.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { Answer } from './answer.ts'
import type { ClientLimits } from './clients/client-limits.ts'
import type { Connections, Turn } from './connections.ts'
import type { Cursors } from './cursor.ts'
import { dispatch } from './dispatch.ts'
import { failureAnswer } from './error-response.ts'
import {
  awaitedBytes,
  createExchange,
  type Exchange,
  heldBytes,
  type RequestIdOf,
  summarize,
} from './exchange.ts'
import { BUSY_RETRY_AFTER_SECONDS, type Count } from './limits.ts'
import type { Hot } from './memory/serve-hot.ts'
import type { MemoryBudget } from './body/memory-budget.ts'
import { breakBody } from './body/request-body.ts'
import { type PrincipalSources, RequestPrincipal } from './principal.ts'
import type { Caller } from './proxies/callers.ts'
import { sendAnswer } from './send/send-answer.ts'
import type { TakePlace } from './places/place.ts'
import type { BlobSenderDeps } from './send/blob-sender.ts'

export interface ServeDeps extends BlobSenderDeps, PrincipalSources {
  readonly registry: Registry
  readonly access: Access
  readonly metrics: Metrics
  readonly noteRequest: NoteRequest
  readonly clock: Clock
  readonly connections: Connections
  /** For bodies of manifests. */
  readonly memory: MemoryBudget
  /** For bodies of blobs. */
  readonly takePlace: TakePlace
  readonly cursors: Cursors
  readonly requestIdOf: RequestIdOf
  readonly clients: ClientLimits
  /** Undefined when nothing is to be remembered. */
  readonly hot: Hot | undefined
  /** Requests at once before new ones are told to come back. */
  readonly requestsMax: number
  /** Those that are being answered, on every thread. */
  readonly running: Count
  readonly draining: () => boolean
  /** See Transport. */
  readonly isOutdated: (socket: Socket) => boolean
  /** Called when a request is over and the process is stopping. */
  readonly onIdle: () => void
}

export type Serve = (request: IncomingMessage, response: ServerResponse) => void

/** Never throws; whatever happens becomes an answer or the end of the connection. */
export function createServe(deps: ServeDeps): Serve {
  const { metrics, connections, clock, running } = deps

  function begin(): void {
    running.add(1)
    metrics.move('requestsInFlight', 1)
  }

  function leave(socket: Socket): void {
    running.add(-1)
    metrics.move('requestsInFlight', -1)
    connections.leave(socket)
    if (deps.draining()) deps.onIdle()
  }

  function start(exchange: Exchange, answer: () => Promise<void>): void {
    begin()
    // Both are heard, and the first counts: `finish` is the usual end, `close` without it a
    // connection that broke.
    let over = false
    const end = () => {
      if (over) return
      over = true
      deps.noteRequest(summarize(exchange, clock.monotonicMs()))
      leave(exchange.request.socket)
    }
    exchange.response.once('finish', end)
    exchange.response.once('close', end)
    void answer()
  }

  return (request, response) => {
    const startedMs = clock.monotonicMs()
    const { socket } = request
    // A client that finds a connection ended which it had in reserve opens another one.
    if (deps.isOutdated(socket) && connections.isFree(socket)) return void socket.destroy()
    const caller = deps.callers.of(request)
    // Whoever is refused what memory has is judged twice: what the first time finds out, the second
    // takes over, so that it takes no longer than where memory has nothing.
    const principal = new RequestPrincipal(request, caller, deps)
    const found = mayBeHot(request, caller, deps)
      ? deps.hot?.find(request, response, { caller, principal })
      : undefined
    if (found?.kind === 'hit') {
      connections.enter(socket, WHOLE)
      begin()
      deps.clients.answersNow(request, response, caller)
      const requestId = deps.requestIdOf(found.request.requestId)
      const over = () => leave(socket)
      deps.hot?.send(response, found, { requestId, startedMs, client: caller.address, over })
      return
    }
    const requestId = deps.requestIdOf(request.headers['x-request-id'])
    const facts = { requestId, caller, principal, startedMs, hot: found }
    const exchange = createExchange(request, response, facts)
    const entered = connections.enter(socket, {
      start: () => start(exchange, () => answerExchange(exchange, deps)),
      refuse: () => start(exchange, () => refuseExchange(exchange, deps)),
      isConnected: () => response.socket !== null,
      heldBytes: () => heldBytes(request),
      abandon: () => deps.noteRequest(summarize(exchange, clock.monotonicMs())),
      broken: () => breakBody(exchange),
      awaited: () => awaitedBytes(exchange),
    })
    if (entered === 'refused') metrics.count('requestsRefused', { reason: 'busy' })
  }
}

/**
 * Not when there is too much to do, of all or of one client, nor when answers end their
 * connections: those are told so by the other way.
 */
function mayBeHot(request: IncomingMessage, caller: Caller, deps: ServeDeps): boolean {
  if (deps.running.add(0) >= deps.requestsMax || deps.draining()) return false
  return deps.clients.mayAnswerNow(request, caller) && deps.connections.isFree(request.socket)
}

/** The turn of a request that was answered when it came, and of which no body is to come. */
const WHOLE: Turn = {
  start: () => {},
  refuse: () => {},
  isConnected: () => true,
  heldBytes: () => 0,
  abandon: () => {},
  broken: () => {},
  awaited: () => undefined,
}

async function answerExchange(exchange: Exchange, deps: ServeDeps): Promise<void> {
  try {
    const answer = await findAnswer(exchange, deps)
    await counting(answer, deps.metrics, () => sendAnswer(exchange, answer, deps))
  } catch (error) {
    await sendFailure(exchange, error, deps)
  }
}

/** The last answer of its connection. */
function refuseExchange(exchange: Exchange, deps: ServeDeps): Promise<void> {
  exchange.response.shouldKeepAlive = false
  return sendFailure(exchange, busy(), deps)
}

/**
 * While `send` runs, a client that reads what another one's fill brings is among the joined
 * readers.
 */
async function counting(
  { body }: Answer,
  metrics: Metrics,
  send: () => Promise<void>,
): Promise<void> {
  if (body.kind !== 'blob' || body.blob.source !== 'joined') return send()
  metrics.move('joinedReaders', 1)
  try {
    await send()
  } finally {
    metrics.move('joinedReaders', -1)
  }
}

async function findAnswer(exchange: Exchange, deps: ServeDeps): Promise<Answer> {
  try {
    const answer = await dispatch(exchange, {
      ...deps,
      checkCapacity: () => {
        checkCapacity(deps)
        deps.clients.admitAddress(exchange)
      },
      limitAccount: () => deps.clients.admitAccount(exchange),
    })
    deps.hot?.offer(exchange, answer)
    return answer
  } finally {
    exchange.hot?.end()
  }
}

async function sendFailure(exchange: Exchange, error: unknown, deps: ServeDeps): Promise<void> {
  const { record, response, requestId } = exchange
  record.error = error instanceof Error ? error : new Error(String(error))
  record.source = 'none'
  record.sender = undefined
  try {
    await sendAnswer(exchange, failureAnswer(error, requestId), deps)
  } catch (again) {
    record.cut = true
    record.error = again instanceof Error ? again : record.error
    response.destroy()
  }
}

function checkCapacity({ running, requestsMax, metrics }: ServeDeps): void {
  if (running.add(0) <= requestsMax) return
  metrics.count('requestsRefused', { reason: 'busy' })
  throw busy()
}

function busy(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'too many requests at once; try again', {
    retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
  })
}
