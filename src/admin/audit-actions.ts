// What operators do, for the audit log: who asked for it, and what came of it. No secret is in it.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { EndedLogins } from '../access/accounts.ts'
import type { NoteAudit } from '../observe/audit.ts'
import { failedBy, failureOf } from './requests.ts'

/** As the audit log has it. */
export interface AskedBy {
  readonly who: string
  /** Its address, as far as there is one. */
  readonly client?: string | undefined
  /** As which it has logged in, where it is somebody else that was let in. */
  readonly account?: string | undefined
}

/** What an answer of 200 leaves open: was it done? */
interface Done {
  readonly outcome: 'done' | 'refused'
  /** Why not. */
  readonly reason?: string
}

const DONE = new WeakMap<FastifyRequest, Done>()
const SUCCESSES = new Set(['issued', 'revoked', 'ended' satisfies EndedLogins])

/** `kind`: of what the operator is told. */
export function noteDone(request: FastifyRequest, kind: string): void {
  const done: Done = SUCCESSES.has(kind)
    ? { outcome: 'done' }
    : { outcome: 'refused', reason: kind }
  DONE.set(request, done)
}

/** Of a parameter more than this are counted: an export supposes 200,000 digests, 80 at a time. */
const NAMED_MAX = 8

function shownOf(query: unknown): Readonly<Record<string, unknown>> {
  const shown = ([name, value]: [string, unknown]) =>
    [name, Array.isArray(value) && value.length > NAMED_MAX ? value.length : value] as const
  return Object.fromEntries(Object.entries(Object(query)).map(shown))
}

/** Of what answered with events: its status says that it began. */
function failureFor(request: FastifyRequest): Partial<Done> {
  const error = failedBy(request)
  return error === undefined ? {} : { outcome: 'refused', reason: failureOf(error).message }
}

/** Of all that is more than a look. What is asked for names things, and nothing secret. */
export function auditActions(
  api: FastifyInstance,
  audit: NoteAudit,
  askedBy: (request: FastifyRequest) => AskedBy | undefined,
): void {
  api.addHook('preHandler', async (request, { raw }) => {
    const { method, routeOptions, query } = request
    const asker = askedBy(request)
    if (method === 'GET' || method === 'HEAD' || asker === undefined) return
    const { who, client, account } = asker
    const action = routeOptions.url?.replace('/api/v1/', '')
    const line = { audit: 'admin', action, who, account, client, asked: shownOf(query) } as const
    const note = () => {
      const done = DONE.get(request) ?? failureFor(request)
      const end = raw.writableFinished ? { status: raw.statusCode } : { left: true }
      audit({ ...line, ...done, ...end })
    }
    // It is done also where whoever asked for it does not wait for the answer.
    if (raw.destroyed) note()
    else raw.once('close', note)
  })
}
