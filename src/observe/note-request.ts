// The one "request completed" line and the metrics of a client's request, however it ended.
import type { Logger } from './log.ts'
import {
  type EndpointLabel,
  type MethodLabel,
  METHODS,
  type OutcomeLabel,
  type SourceLabel,
} from './metrics-table.ts'
import type { Metrics } from './metrics.ts'
import { redactText, shorten } from './redact.ts'

/** Who asked, for the audit alone. */
export interface Requester {
  /** As rules of access call it. */
  readonly name: string
  /** By an account or a certificate. */
  readonly isKnown: boolean
  /** What came of what was shown. */
  readonly login: 'account' | 'anonymous' | 'refused' | 'limited' | 'busy' | 'away' | undefined
}

/** What is known of a request when its connection's part in it is over. */
export interface RequestSummary {
  readonly requestId: string
  readonly method: string
  readonly endpoint: EndpointLabel
  /**
   * Canonical where it was routed, else as the client wrote it; undefined when the endpoint has
   * none.
   */
  readonly repository: string | undefined
  readonly reference: string | undefined
  /** The path without its query, only for what parsed as no endpoint. */
  readonly path: string | undefined
  /** 0 when the client left before an answer began. */
  readonly status: number
  readonly source: SourceLabel
  /** Body bytes written to the connection. */
  readonly sentBytes: number
  /** Body bytes that were read from the client; left out when none were. */
  readonly receivedBytes?: number
  readonly durationMs: number
  readonly outcome: OutcomeLabel
  /** Why it failed or was refused; undefined when it was answered as asked. */
  readonly error: Error | undefined
  /** What decided that it was denied, where rules did. */
  readonly deniedBy?: string | undefined
  readonly client: string | undefined
  readonly userAgent: string | undefined
  /** Undefined where it was refused before anybody asked. */
  readonly who?: Requester | undefined
}

/** Of the one line that each request gets. */
export const MESSAGE = 'request completed'

export type NoteRequest = (summary: RequestSummary) => void

/** Probes of load balancers: one line each would be most of the log. */
const QUIET: ReadonlySet<EndpointLabel> = new Set(['livez'])

/** Not 400: what is wrong with the content itself is the client's. */
const REFUSED_UPSTREAM: ReadonlySet<number> = new Set([403, 404, 405, 413, 429])

export function createNoteRequest({
  logger,
  metrics,
  audit,
}: {
  readonly logger: Logger
  readonly metrics: Metrics
  /** Default: nothing is. */
  readonly audit?: NoteRequest | undefined
}): NoteRequest {
  return summary => {
    countRequest(summary, metrics)
    audit?.(summary)
    const level = levelOf(summary)
    if (!logger.isLevelEnabled(level)) return
    logger[level](fieldsOf(summary), MESSAGE)
  }
}

function countRequest(summary: RequestSummary, metrics: Metrics): void {
  const { endpoint, source, outcome } = summary
  const method = methodLabel(summary.method)
  const status = String(summary.status)
  metrics.requestSeries({ endpoint, method, status, source, outcome }).add(summary)
  metrics.count('receivedBytes', {}, summary.receivedBytes ?? 0)
}

export function methodLabel(method: string): MethodLabel {
  return METHODS.find(each => each === method) ?? 'other'
}

/** An abort is nothing an operator can mend (R52); an error of ours is. */
function levelOf(summary: RequestSummary): 'debug' | 'info' | 'warn' | 'error' {
  if (summary.status === 500 || summary.error?.name === 'StoreError') return 'error'
  if (summary.outcome === 'failed' || isRefusedUpstream(summary)) return 'warn'
  return QUIET.has(summary.endpoint) ? 'debug' : 'info'
}

/**
 * A push that the upstream does not take from this edge, for credentials, a repository that has to
 * be made first, a limit: for the operator to mend. A pull of a name that nobody has looks alike
 * and is nobody's business.
 */
function isRefusedUpstream({ method, status, error }: RequestSummary): boolean {
  const isWrite = method !== 'GET' && method !== 'HEAD'
  const isOfUpstream = error?.cause instanceof Error && error.cause.name === 'UpstreamError'
  return isWrite && isOfUpstream && REFUSED_UPSTREAM.has(status)
}

function fieldsOf(summary: RequestSummary) {
  const { error, deniedBy, userAgent, path, repository, reference, who: _, ...rest } = summary
  const { receivedBytes, durationMs, ...plain } = rest
  return {
    ...plain,
    ...(receivedBytes === 0 ? {} : { receivedBytes }),
    ...(repository === undefined ? {} : { repository: shorten(repository) }),
    ...(reference === undefined ? {} : { reference: shorten(reference) }),
    ...(path === undefined ? {} : { path: shorten(path) }),
    durationMs: Math.round(durationMs * 10) / 10,
    ...(userAgent === undefined ? {} : { userAgent: shorten(userAgent) }),
    ...(error === undefined ? {} : describe(error, summary)),
    ...(deniedBy === undefined ? {} : { deniedBy }),
  }
}

/** A refusal is the client's own doing and needs no trace; a failure does. */
function describe(error: Error, summary: RequestSummary) {
  const { status } = summary
  const code = 'code' in error ? { errorCode: error.code } : {}
  return status >= 500 || status === 0 || !('code' in error) || isRefusedUpstream(summary)
    ? { ...code, error }
    : { ...code, errorMessage: redactText(error.message) }
}
