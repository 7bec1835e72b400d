// What the engine tells about itself, turned into metrics and log lines: one case per event. The
// levels: an operator should act on `warn` and `error`; what belongs to ordinary days is `info` or
// lower.
import type { EngineEvent, NoteEvent } from '../registry/ports/events.ts'
import { repositoryKey } from '../oci/reference.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { noteEvicted, noteLeft, noteMiscounted, noteNothingEvictable } from './note-eviction.ts'
import { noteImport } from './note-import.ts'
import { noteDamaged, noteReread } from './note-scrub.ts'
import {
  type Event,
  type Notebook,
  noteDelivery,
  notePushed,
  noteRetained,
  noteTooMuchToRetain,
  noteTooUnclearToRetain,
  noteUploadsPurged,
} from './note-push.ts'
import { createOnceAMinute } from './once-a-minute.ts'
import { redactText, redactReason } from './redact.ts'

export interface NoteEventOptions {
  readonly logger: Logger
  readonly metrics: Metrics
  /** As Clock.monotonicMs. */
  readonly monotonicMs: () => number
}

const BREAKER_VALUE = { closed: 0, 'half-open': 1, open: 2 } as const

/**
 * Statuses of upstreams that tell something by themselves; the others are counted by class, to keep
 * the label closed.
 */
const TELLING_STATUSES = new Set([
  200, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 406, 416, 429, 500, 502, 503, 504,
])

export function createNoteEvent({ logger, metrics, monotonicMs }: NoteEventOptions): NoteEvent {
  const notebook = { logger, metrics, due: createOnceAMinute(monotonicMs) }
  return event => note(event, notebook)
}

function note(event: EngineEvent, notebook: Notebook): void {
  const { metrics } = notebook
  switch (event.kind) {
    case 'upstream request':
      return noteUpstreamRequest(event, notebook)
    case 'upstream bytes':
      return metrics.count('upstreamBytes', { upstream: event.registry }, event.bytes)
    case 'upstream breaker':
      return noteBreaker(event, notebook)
    case 'upstream rate limit':
      return metrics.set('upstreamRateLimit', { upstream: event.registry }, event.remaining)
    case 'fill started':
      return noteFillStarted(event, notebook)
    case 'fill ended':
      return noteFillEnded(event, notebook)
    case 'prefetch':
      return notePrefetch(event, notebook)
    case 'storage failed':
      return noteStorageFailed(event, notebook)
    case 'evicted':
      return noteEvicted(event, notebook)
    case 'left':
      return noteLeft(event, notebook)
    case 'nothing evictable':
      return noteNothingEvictable(event, notebook)
    case 'catalog is being brought up to date':
      return notebook.logger.info(
        { from: event.from, to: event.to, bytes: event.bytes },
        event.kind,
      )
    case 'catalog brought up to date':
      return notebook.logger.info({ from: event.from, to: event.to }, event.kind)
    case 'miscounted':
      return noteMiscounted(event, notebook)
    case 'reread':
      return noteReread(event, notebook)
    case 'damaged':
      return noteDamaged(event, notebook)
    case 'import':
      return noteImport(event, notebook)
    case 'content lied':
      return noteLie(event, notebook)
    case 'mirror left out':
      return noteMirrorLeftOut(event, notebook)
    case 'tag moved':
      return noteTagMoved(event, notebook)
    case 'served stale':
      return noteStale(event, notebook)
    case 'pushed':
      return notePushed(event, notebook)
    case 'delivery':
      return noteDelivery(event, notebook)
    case 'retained':
      return noteRetained(event, notebook)
    case 'too much to retain':
      return noteTooMuchToRetain(event, notebook)
    case 'too unclear to retain':
      return noteTooUnclearToRetain(event, notebook)
    case 'uploads purged':
      return noteUploadsPurged(event, notebook)
  }
}

function noteUpstreamRequest(event: Event<'upstream request'>, { metrics }: Notebook): void {
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

function noteBreaker(event: Event<'upstream breaker'>, { logger, metrics }: Notebook): void {
  metrics.set('upstreamBreaker', { upstream: event.registry }, BREAKER_VALUE[event.state])
  const fields = { upstream: event.registry, state: event.state, ...redactReason(event) }
  if (event.state === 'open') logger.warn(fields, 'upstream is not asked for a while')
  else if (event.state === 'closed') logger.info(fields, 'upstream answers again')
  else logger.debug(fields, 'upstream is tried again')
}

function noteFillStarted(event: Event<'fill started'>, { logger, metrics }: Notebook): void {
  const { digest, resumedBytes } = event
  metrics.move('fillsInFlight', 1)
  metrics.count('fillResumedBytes', {}, resumedBytes)
  const repository = repositoryKey(event.repository)
  logger.debug({ repository, digest, resumedBytes }, 'fill started')
}

function noteFillEnded(event: Event<'fill ended'>, { logger, metrics }: Notebook): void {
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
    ...redactReason(event),
  }
  if (outcome === 'failed' || outcome === 'corrupt') logger.warn(fields, 'fill failed')
  else if (outcome === 'abandoned') logger.info(fields, 'fill abandoned')
  else logger.debug(fields, 'fill ended')
}

function notePrefetch(event: Event<'prefetch'>, { logger, metrics }: Notebook): void {
  const { step, bytes, digest } = event
  const upstream = event.repository.registry
  metrics.count('prefetchedBlobs', { step })
  const isVain = step === 'cancelled' || step === 'unused'
  metrics.count('prefetchVainBytes', { upstream }, isVain ? bytes : 0)
  const repository = repositoryKey(event.repository)
  logger.debug({ repository, digest, step, bytes }, 'fetching a blob ahead')
}

function noteStorageFailed(
  event: Event<'storage failed'>,
  { logger, metrics, due }: Notebook,
): void {
  const { failure, room } = event
  metrics.count('storageFailures', { failure })
  const held = due(`storage ${failure}`)
  if (held === undefined) return
  logger.error({ ...redactReason(event), failure, ...room, held }, 'storage failed')
}

function noteLie(event: Event<'content lied'>, { logger, metrics, due }: Notebook): void {
  const { registry } = event
  metrics.count('upstreamLies', { upstream: registry })
  const held = due(`lied ${registry}`)
  if (held === undefined) return
  logger.warn(
    { upstream: registry, what: redactText(event.what), held },
    'upstream sent content that does not match its digest',
  )
}

function noteMirrorLeftOut(
  { registry, mirror }: Event<'mirror left out'>,
  { logger, metrics }: Notebook,
): void {
  metrics.count('mirrorsLeftOut', { upstream: registry })
  const hint = 'its cache is damaged, or it changes what it passes on: see to the mirror'
  logger.warn({ registry, mirror, hint }, 'a mirror is left out for a while')
}

function noteTagMoved(event: Event<'tag moved'>, { logger }: Notebook): void {
  const { tag, from, to } = event
  logger.info({ repository: repositoryKey(event.repository), tag, from, to }, 'tag moved')
}

function noteStale(event: Event<'served stale'>, { logger, metrics, due }: Notebook): void {
  const { ageMs } = event
  const upstream = event.repository.registry
  metrics.count('staleAnswers', { upstream })
  const held = due(`stale ${upstream}`)
  if (held === undefined) return
  const repository = repositoryKey(event.repository)
  const reason = redactText(event.reason)
  logger.warn(
    { upstream, repository, ageMs, reason, held },
    'served stale because the upstream failed',
  )
}
