// The audit log: who did what, from where, and what decided. One JSON object a line, in a stream of
// its own, for whoever has to tell later; the log beside it says how requests went. No secret is in
// it, nor what was typed for the name of an account that nobody has: that may be a password.
import type { NoteRequest, RequestSummary } from './note-request.ts'
import { redactText, shorten } from './redact.ts'
import { createRefusedLogins } from './refused-logins.ts'

export interface AuditSettings {
  /** Also of what was given out. */
  readonly pulls: boolean
}

export interface AuditEvent {
  /** What it is about; further fields differ by it. */
  readonly audit: 'login' | 'denied' | 'push' | 'delete' | 'pull' | 'accounts' | 'admin'
  readonly [field: string]: unknown
}

export type NoteAudit = (event: AuditEvent) => void

/** Lines of pulls begin like that: they are many, and no two of them hurry. */
export const PULL_LINE = '{"audit":"pull"'

/** `write` is given whole lines. `nowMs`: wall clock. */
export function createAudit(write: (line: string) => void, nowMs: () => number): NoteAudit {
  return ({ audit, ...fields }) =>
    write(`${JSON.stringify({ audit, time: new Date(nowMs()).toISOString(), ...fields })}\n`)
}

/** Of requests that are over, what they were for the audit, if anything; wrong logins seldom. */
export function createAuditRequest(
  note: NoteAudit,
  settings: AuditSettings,
  monotonicMs: () => number,
): NoteRequest {
  const due = createRefusedLogins(monotonicMs)
  return summary => {
    const found = kindOf(summary, settings)
    if (found === undefined) return
    const [audit, outcome] = found
    const isWrongLogin = audit === 'login' && outcome !== 'done'
    const held = isWrongLogin ? due(outcome, summary.client) : 0
    if (held === undefined) return
    const { who, client, method, endpoint, repository, reference, status } = summary
    const { deniedBy: rule, requestId, userAgent, error } = summary
    note({
      audit,
      outcome,
      who: who?.name,
      client,
      method,
      endpoint,
      ...(repository === undefined ? {} : { repository: shorten(repository) }),
      ...(reference === undefined ? {} : { reference: shorten(reference) }),
      status,
      rule,
      reason: outcome === 'done' || error === undefined ? undefined : redactText(error.message),
      requestId,
      ...(userAgent === undefined ? {} : { userAgent: shorten(userAgent) }),
      ...(held > 0 && { held }),
    })
  }
}

type Found = readonly [kind: AuditEvent['audit'], outcome: Outcome]
/** `failed`: it was allowed, and did not come to its end. */
type Outcome = 'done' | 'refused' | 'limited' | 'failed'

const WRITES = new Set(['PUT', 'POST', 'PATCH', 'DELETE'])

function kindOf(summary: RequestSummary, { pulls }: AuditSettings): Found | undefined {
  const { who, method, endpoint, status, deniedBy } = summary
  if (who?.login === 'limited') return ['login', 'limited']
  if (who?.login === 'refused') return ['login', 'refused']
  const isDone = status >= 200 && status < 300
  if (endpoint === 'token' || endpoint === 'ping')
    return isDone && who?.login === 'account' ? ['login', 'done'] : deniedOf(summary)
  // Who showed nothing is asked for a login, as clients are each time that they begin.
  const isAsked = status === 401 && who?.isKnown !== true
  if (status === 403 || (deniedBy !== undefined && !isAsked)) return ['denied', 'refused']
  if (status === 401) return undefined
  const outcome = isDone ? 'done' : 'failed'
  if (method === 'DELETE' && (endpoint === 'manifest' || endpoint === 'blob'))
    return ['delete', outcome]
  if (method === 'PUT' && endpoint === 'manifest') return ['push', outcome]
  // A blob is pushed by many requests: the one that ends them, or a mount.
  if (WRITES.has(method)) return status === 201 ? ['push', 'done'] : undefined
  const isContent = method === 'GET' && (endpoint === 'manifest' || endpoint === 'blob')
  return pulls && isContent && isDone ? ['pull', pullOutcome(summary)] : undefined
}

function deniedOf({ status }: RequestSummary): Found | undefined {
  return status === 403 ? ['denied', 'refused'] : undefined
}

function pullOutcome({ outcome }: RequestSummary): Outcome {
  return outcome === 'completed' ? 'done' : 'failed'
}
