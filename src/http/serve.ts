// The life of one request on the data port: its turn on the connection, dispatch, answer, and what is noted when it is over.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Access } from '../access/access.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { NoteRequest } from '../observe/note-request.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Registry } from '../registry/answers.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { Connections } from './connections.ts'
import { dispatch } from './dispatch.ts'
import { failureAnswer } from './error-response.ts'
import { createExchange, type Exchange, summarize } from './exchange.ts'
import { BUSY_RETRY_AFTER_SECONDS } from './limits.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { breakBody } from './request-body.ts'
import type { RequestIdOf } from './request-id.ts'
import { sendAnswer } from './send-answer.ts'

export interface ServeDeps {
  readonly registry: Registry
  readonly access: Access
  readonly metrics: Metrics
  readonly noteRequest: NoteRequest
  readonly clock: Clock
  readonly connections: Connections
  /** For bodies of manifests. */
  readonly memory: MemoryBudget
  readonly requestIdOf: RequestIdOf
  /** Requests at once before new ones are told to come back. */
  readonly requestsMax: number
  readonly draining: () => boolean
  /** Called when a request is over and the process is stopping. */
  readonly onIdle: () => void
}

export type Serve = (request: IncomingMessage, response: ServerResponse) => void

/** Never throws; whatever happens becomes an answer or the end of the connection. */
export function createServe(deps: ServeDeps): Serve {
  const { metrics, connections, clock } = deps
  let running = 0

  const checkCapacity = () => {
    if (running <= deps.requestsMax) return
    metrics.count('requestsRefused', { reason: 'busy' })
    throw busy()
  }

  function finish(exchange: Exchange): void {
    running -= 1
    metrics.move('requestsInFlight', -1)
    deps.noteRequest(summarize(exchange, clock.monotonicMs()))
    connections.leave(exchange.request.socket)
    if (deps.draining()) deps.onIdle()
  }

  function start(exchange: Exchange): void {
    running += 1
    metrics.move('requestsInFlight', 1)
    // Both are heard, and the first counts: `finish` is the usual end, `close` without it a connection that broke.
    let over = false
    const end = () => {
      if (over) return
      over = true
      finish(exchange)
    }
    exchange.response.once('finish', end)
    exchange.response.once('close', end)
    void answerExchange(exchange, deps, checkCapacity)
  }

  return (request, response) => {
    const facts = { requestId: deps.requestIdOf(request), startedMs: clock.monotonicMs() }
    const exchange = createExchange(request, response, facts)
    const entered = connections.enter(request.socket, {
      start: () => start(exchange),
      abandon: () => deps.noteRequest(summarize(exchange, clock.monotonicMs())),
      broken: () => breakBody(exchange),
    })
    if (entered === 'full') {
      metrics.count('requestsRefused', { reason: 'busy' })
      void sendFailure(exchange, busy(), deps)
    }
  }
}

async function answerExchange(
  exchange: Exchange,
  deps: ServeDeps,
  checkCapacity: () => void,
): Promise<void> {
  try {
    const answer = await dispatch(exchange, { ...deps, checkCapacity })
    await sendAnswer(exchange, answer, deps)
  } catch (error) {
    await sendFailure(exchange, error, deps)
  }
}

async function sendFailure(exchange: Exchange, error: unknown, deps: ServeDeps): Promise<void> {
  const { record, response, requestId } = exchange
  record.error = error instanceof Error ? error : new Error(String(error))
  record.source = 'none'
  try {
    await sendAnswer(exchange, failureAnswer(error, requestId), deps)
  } catch (again) {
    record.cut = true
    record.error = again instanceof Error ? again : record.error
    response.destroy()
  }
}

function busy(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'too many requests at once; try again', {
    retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
  })
}
