// /api/v1: what the command line and the console ask for. JSON in and out, except for `pull`, whose
// progress is one JSON object per line. On the Unix socket alone, whose directory decides who may.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from '../observe/log.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Operator } from '../registry/operator/operator.ts'
import { ENTRY_ID } from '../registry/ports/outbox.ts'
import type { WarmEvent } from '../registry/operator/warm-image.ts'

export interface ApiDeps {
  readonly operator: Operator
  readonly logger: Logger
}

/** What `pull` sends last when it fails in the middle, where no status can be sent any more. */
export interface FailedEvent {
  readonly kind: 'failed'
  readonly code: string
  readonly message: string
}

export function registerApi(app: FastifyInstance, { operator, logger }: ApiDeps): void {
  app.register(
    async api => {
      api.setErrorHandler((error, _request, reply) => {
        const { code, status, message } = failureOf(error)
        if (status === 500) logger.error({ err: error }, 'admin request failed')
        reply.code(status).send({ code, message })
      })
      api.get('/status', async () => operator.status())
      api.get('/images', async request => operator.list(parameter(request, 'pattern')))
      api.get('/image', async request => operator.inspect(required(request, 'name')))
      api.get('/why', async request => operator.why(required(request, 'name')))
      api.get('/queue', async () => operator.queue())
      api.post('/queue/retry', async request => {
        const isAll = parameter(request, 'all') === 'true'
        return operator.retryQueued(isAll ? 'all' : entryId(request))
      })
      api.post('/queue/drop', async request => operator.dropQueued(entryId(request)))
      api.post('/pull', async (request, reply) => {
        const left = new AbortController()
        reply.raw.once('close', () => left.abort(new Error('the command went away')))
        const wanted = {
          image: required(request, 'name'),
          platforms: parameters(request, 'platform'),
        }
        return reply
          .type('application/x-ndjson')
          .send(Readable.from(lines(operator.warm(wanted, left.signal))))
      })
    },
    { prefix: '/api/v1' },
  )
}

async function* lines(events: AsyncIterable<WarmEvent>): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${JSON.stringify(event)}\n`
  } catch (error) {
    const { code, message } = failureOf(error)
    const event: FailedEvent = { kind: 'failed', code, message }
    yield `${JSON.stringify(event)}\n`
  }
}

function failureOf(error: unknown): { code: string; status: number; message: string } {
  if (error instanceof RegistryError) {
    const { code, status, message, cause } = error
    return { code, status, message: `${message}${cause instanceof Error ? because(cause) : ''}` }
  }
  return {
    code: 'UNKNOWN',
    status: 500,
    message: 'this failed inside the server; its log says why',
  }
}

function parameters(request: FastifyRequest, name: string): string[] {
  const value = (request.query as Record<string, string | string[] | undefined>)[name]
  return value === undefined ? [] : [value].flat()
}

function parameter(request: FastifyRequest, name: string): string | undefined {
  return parameters(request, name)[0]
}

function entryId(request: FastifyRequest): number {
  const text = required(request, 'id')
  if (ENTRY_ID.test(text)) return Number(text)
  throw new RegistryError('NAME_INVALID', '?id= is the number of an entry, as the queue lists it')
}

function required(request: FastifyRequest, name: string): string {
  const value = parameter(request, name)
  // What an empty one lacks is said by who reads it.
  if (value !== undefined) return value
  throw new RegistryError('NAME_INVALID', `this request needs ?${name}=`)
}

/** What clients are not told, and the operator needs. */
function because(cause: Error & { readonly hint?: unknown }): string {
  return `: ${cause.message}${typeof cause.hint === 'string' ? `; ${cause.hint}` : ''}`
}
