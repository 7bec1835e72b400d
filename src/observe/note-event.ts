// What the engine tells about itself, turned into metrics and log lines: one case per event. The
// levels: an operator should act on `warn` and `error`; what belongs to ordinary days is `info` or
// lower.
import type { EngineEvent, NoteEvent } from '../registry/ports/events.ts'
import { repositoryKey } from '../oci/reference.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { noteDelivery, notePushed, noteUploadsPurged } from './note-push.ts'
import { createOnceAMinute } from './once-a-minute.ts'
import { redactText, redactTold } from './redact.ts'

export interface NoteEventOptions {
  readonly logger: Logger
  readonly metrics: Metrics
  /** As Clock.monotonicMs. */
  readonly monotonicMs: () => number
}

type Event<K extends EngineEvent['kind']> = Extract<EngineEvent, { kind: K }>

const BREAKER_VALUE = { closed: 0, 'half-open': 1, open: 2 } as const

/**
 * Statuses of upstreams that tell something by themselves; the others are counted by class, to keep
 * the label closed.
 */
const TELLING_STATUSES = new Set([
  200, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 406, 416, 429, 500, 502, 503, 504,
])

export function createNoteEvent({ logger, metrics, monotonicMs }: NoteEventOptions): NoteEvent {
  const due = createOnceAMinute(monotonicMs)
  return event => {
    switch (event.kind) {
      case 'upstream request':
        return noteUpstreamRequest(event, metrics)
      case 'upstream bytes':
        return metrics.count('upstreamBytes', { upstream: event.registry }, event.bytes)
      case 'upstream breaker':
        return noteBreaker(event, logger, metrics)
      case 'upstream rate limit':
        return metrics.set('upstreamRateLimit', { upstream: event.registry }, event.remaining)
      case 'fill started':
        metrics.move('fillsInFlight', 1)
        metrics.count('fillResumedBytes', {}, event.resumedBytes)
        return logger.debug(
          {
            repository: repositoryKey(event.repository),
            digest: event.digest,
            resumedBytes: event.resumedBytes,
          },
          'fill started',
        )
      case 'fill ended':
        return noteFillEnded(event, logger, metrics)
      case 'prefetch': {
        const { step, bytes, digest } = event
        const upstream = event.repository.registry
        metrics.count('prefetchedBlobs', { step })
        const isVain = step === 'cancelled' || step === 'unused'
        metrics.count('prefetchVainBytes', { upstream }, isVain ? bytes : 0)
        const repository = repositoryKey(event.repository)
        return logger.debug({ repository, digest, step, bytes }, 'fetching a blob ahead')
      }
      case 'storage failed': {
        metrics.count('storageFailures', { failure: event.failure })
        const held = due(`storage ${event.failure}`)
        if (held === undefined) return
        return logger.error(
          { ...redactTold(event), failure: event.failure, ...event.room, held },
          'storage failed',
        )
      }
      case 'content lied': {
        metrics.count('upstreamLies', { upstream: event.registry })
        const held = due(`lied ${event.registry}`)
        if (held === undefined) return
        return logger.warn(
          { upstream: event.registry, what: redactText(event.what), held },
          'upstream sent content that does not match its digest',
        )
      }
      case 'mirror left out': {
        const { registry, mirror } = event
        metrics.count('mirrorsLeftOut', { upstream: registry })
        return logger.warn(
          {
            registry,
            mirror,
            hint: 'its cache is damaged, or it changes what it passes on: see to the mirror',
          },
          'a mirror is left out for a while',
        )
      }
      case 'tag moved': {
        const { tag, from, to } = event
        return logger.info(
          { repository: repositoryKey(event.repository), tag, from, to },
          'tag moved',
        )
      }
      case 'served stale': {
        const upstream = event.repository.registry
        metrics.count('staleAnswers', { upstream })
        const held = due(`stale ${upstream}`)
        if (held === undefined) return
        return logger.warn(
          {
            upstream,
            repository: repositoryKey(event.repository),
            ageMs: event.ageMs,
            reason: redactText(event.reason),
            held,
          },
          'served stale because the upstream failed',
        )
      }
      case 'pushed':
        return notePushed(event, { logger, metrics })
      case 'delivery':
        return noteDelivery(event, { logger, metrics, due })
      case 'uploads purged':
        return noteUploadsPurged(event, { logger, metrics })
    }
  }
}

function noteUpstreamRequest(event: Event<'upstream request'>, metrics: Metrics): void {
  const { registry, call } = event
  metrics.count('upstreamRequests', {
    upstream: registry,
    call,
    outcome: outcomeLabel(event.outcome),
  })
  metrics.observe('upstreamDuration', { upstream: registry, call }, event.durationMs / 1000)
}

function outcomeLabel(outcome: Event<'upstream request'>['outcome']): string {
  if (typeof outcome === 'string') return outcome
  return TELLING_STATUSES.has(outcome) ? String(outcome) : `${Math.trunc(outcome / 100)}xx`
}

function noteBreaker(event: Event<'upstream breaker'>, logger: Logger, metrics: Metrics): void {
  metrics.set('upstreamBreaker', { upstream: event.registry }, BREAKER_VALUE[event.state])
  const fields = { upstream: event.registry, state: event.state, ...redactTold(event) }
  if (event.state === 'open') logger.warn(fields, 'upstream is not asked for a while')
  else if (event.state === 'closed') logger.info(fields, 'upstream answers again')
  else logger.debug(fields, 'upstream is tried again')
}

function noteFillEnded(event: Event<'fill ended'>, logger: Logger, metrics: Metrics): void {
  const { outcome } = event
  metrics.move('fillsInFlight', -1)
  metrics.count('fills', { outcome })
  metrics.observe('fillDuration', { outcome }, event.durationMs / 1000)
  const fields = {
    repository: repositoryKey(event.repository),
    digest: event.digest,
    outcome,
    sizeBytes: event.sizeBytes,
    durationMs: Math.round(event.durationMs),
    ...redactTold(event),
  }
  if (outcome === 'failed' || outcome === 'corrupt') logger.warn(fields, 'fill failed')
  else if (outcome === 'abandoned') logger.info(fields, 'fill abandoned')
  else logger.debug(fields, 'fill ended')
}
