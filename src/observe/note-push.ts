// What the engine tells about pushes, their delivery, abandoned uploads and what goes by retention,
// as metrics and log lines: the rest of note-event.ts.
import { registryOf, repositoryKey } from '../oci/reference.ts'
import type { EngineEvent } from '../registry/ports/events.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { OnceAMinute } from './once-a-minute.ts'
import { redactReason } from './redact.ts'

export type Event<K extends EngineEvent['kind']> = Extract<EngineEvent, { kind: K }>

/** Where an event is written down. */
export interface Notebook {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly due: OnceAMinute
}

/** Its request has a line of its own. */
export function notePushed(event: Event<'pushed'>, { logger, metrics }: Notebook): void {
  const { what, mode, sizeBytes } = event
  metrics.count('pushes', { what, mode })
  metrics.count('pushedBytes', { mode }, sizeBytes)
  const repository = repositoryKey(event.repository)
  logger.debug({ repository, what, mode, sizeBytes }, 'push acknowledged')
}

/**
 * One line for each that was delivered or parked; what is tried again fails like everything that
 * goes to the same registry.
 */
export function noteDelivery(event: Event<'delivery'>, { logger, metrics, due }: Notebook): void {
  const { carrier, outcome, id, key, attempts, durationMs } = event
  metrics.count('deliveries', { carrier, outcome })
  metrics.observe('deliveryDuration', { carrier, outcome }, durationMs / 1000)
  const why = redactReason(event)
  const fields = { carrier, id, key, attempts, durationMs: Math.round(durationMs), ...why }
  switch (outcome) {
    case 'delivered':
      return logger.info(fields, 'push delivered')
    case 'parked':
      return logger.warn(fields, 'delivery parked: it waits for the operator')
    case 'retried': {
      const registry = registryOf(key)
      const held = due(`delivery ${carrier} ${registry} ${why.hint}`)
      if (held === undefined) return
      return logger.warn({ ...fields, held }, 'delivery failed and is tried again')
    }
  }
}

export function noteUploadsPurged(
  event: Event<'uploads purged'>,
  { logger, metrics }: Notebook,
): void {
  const { why, sessions, bytes, dryRun } = event
  if (!dryRun) metrics.count('uploadsPurged', {}, sessions)
  const level = sessions === 0 ? 'debug' : 'info'
  const message = dryRun ? 'abandoned uploads would be removed' : 'abandoned uploads removed'
  logger[level]({ why, sessions, bytes }, message)
}

export function noteRetained(event: Event<'retained'>, { logger, metrics }: Notebook): void {
  const { tags, manifests, bytes, first, dryRun } = event
  if (!dryRun) {
    metrics.count('retentionGone', { what: 'tag' }, tags)
    metrics.count('retentionGone', { what: 'manifest' }, manifests)
  }
  const repository = repositoryKey(event.repository)
  const message = dryRun ? 'would go by retention' : 'gone by retention'
  logger.info({ repository, tags, manifests, bytes, first }, message)
}

export function noteTooMuchToRetain(
  event: Event<'too much to retain'>,
  { logger }: Notebook,
): void {
  const hint = 'delete some by hand, or split the repository'
  const repository = repositoryKey(event.repository)
  logger.warn({ repository, limit: event.limit, hint }, 'too large for retention, and left alone')
}

export function noteTooUnclearToRetain(
  event: Event<'too unclear to retain'>,
  { logger }: Notebook,
): void {
  const hint =
    'look for what the log says is lost or cannot be read: bring it back, or push it again'
  const repository = event.repository === undefined ? 'all' : repositoryKey(event.repository)
  logger.warn({ repository, hint }, 'too little is known for retention, and left alone')
}
