// The "request completed" line and the metrics of an answer that is given many times: what is the
// same every time is made once. The line is the one that note-request.ts writes, byte for byte.
import { type Logger, lineWriter } from './log.ts'
import type { OutcomeLabel } from './metrics-table.ts'
import type { Metrics } from './metrics.ts'
import {
  MESSAGE,
  methodLabel,
  type NoteRequest,
  type RequestSummary,
  type Requester,
} from './note-request.ts'
import { shorten } from './redact.ts'

/** What is the same at every request that gets this answer. */
export type HitFacts = Pick<
  RequestSummary,
  'method' | 'endpoint' | 'repository' | 'reference' | 'status' | 'source' | 'sentBytes'
>

/** What differs. */
export interface Hit
  extends Pick<RequestSummary, 'requestId' | 'durationMs' | 'client' | 'userAgent'> {
  readonly outcome: OutcomeLabel
  /** Looked at where there is an audit alone. */
  readonly by: { readonly who: Requester }
  /** Of an answer that did not end as usual, if it is not all of it. */
  readonly sentBytes?: number | undefined
  readonly error?: Error | undefined
}

/** Called once for each request. */
export type NoteHit = (hit: Hit) => void

export interface NoteHitDeps {
  readonly logger: Logger
  readonly metrics: Metrics
  /** For what did not end as usual. */
  readonly noteRequest: NoteRequest
  /** Default: nothing is. */
  readonly audit?: NoteRequest | undefined
  /** Wall clock, for the line's time. */
  readonly nowMs: () => number
}

export type CreateNoteHit = (facts: HitFacts) => NoteHit

const TENTH = 10

export function createNoteHits({
  logger,
  metrics,
  noteRequest,
  audit,
  nowMs,
}: NoteHitDeps): CreateNoteHit {
  const write = lineWriter(logger)
  const isoTime = createIsoTime(nowMs)
  const agentText = createAgentText()
  return facts => {
    const series = metrics.requestSeries(labelsOf(facts))
    const { sentBytes } = facts
    const [before, after] = fixedText(facts)
    return hit => {
      const { requestId, durationMs, client, userAgent } = hit
      if (hit.outcome !== 'completed') {
        const { error, sentBytes: partBytes = sentBytes, by, ...rest } = hit
        const { who } = by
        noteRequest({ ...facts, ...rest, sentBytes: partBytes, path: undefined, error, who })
        return
      }
      audit?.({ ...facts, ...hit, sentBytes, path: undefined, error: undefined, who: hit.by.who })
      series.add({ durationMs, sentBytes })
      if (!logger.isLevelEnabled('info')) return
      const from = client === undefined ? '' : `,"client":"${client}"`
      const agent = userAgent === undefined ? '' : `,"userAgent":${agentText(userAgent)}`
      const tenths = Math.round(durationMs * TENTH) / TENTH
      write(
        `{"level":"info","time":"${isoTime()}","requestId":"${requestId}"${before}${from}${after}${tenths}${agent},"msg":"${MESSAGE}"}\n`,
      )
    }
  }
}

function labelsOf({ endpoint, method, status, source }: HitFacts) {
  const label = methodLabel(method)
  return { endpoint, method: label, status: String(status), source, outcome: 'completed' } as const
}

/** What stands before the client's address, and between it and the duration. */
function fixedText(facts: HitFacts): [before: string, after: string] {
  const { method, endpoint, status, source, sentBytes, repository, reference } = facts
  const first = { method, endpoint, status, source, sentBytes, outcome: 'completed' }
  const second = {
    ...(repository === undefined ? {} : { repository: shorten(repository) }),
    ...(reference === undefined ? {} : { reference: shorten(reference) }),
  }
  const inner = (value: object) => JSON.stringify(value).slice(1, -1)
  const named = inner(second)
  return [`,${inner(first)}`, `${named === '' ? '' : `,${named}`},"durationMs":`]
}

/** Thousands of lines have the same millisecond. */
function createIsoTime(nowMs: () => number): () => string {
  let lastMs = Number.NaN
  let text = ''
  return () => {
    const ms = nowMs()
    if (ms !== lastMs) {
      lastMs = ms
      text = new Date(ms).toISOString()
    }
    return text
  }
}

/** Few clients differ in it, and the ones that follow each other least. */
function createAgentText(): (userAgent: string) => string {
  let last = ''
  let text = '""'
  return userAgent => {
    if (userAgent !== last) {
      last = userAgent
      text = JSON.stringify(shorten(userAgent))
    }
    return text
  }
}
