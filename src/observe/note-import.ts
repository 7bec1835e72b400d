// What the engine tells about imports, as metrics and one log line for each.
import type { Event, Notebook } from './note-push.ts'
import { redactText } from './redact.ts'

export function noteImport(event: Event<'import'>, { logger, metrics }: Notebook): void {
  const { outcome, reason, dryRun, images, written, writtenBytes, hereBytes } = event
  const counts = { dryRun, images, written, writtenBytes, hereBytes }
  const how = dryRun ? 'dry run' : outcome
  metrics.count('imports', { outcome: how })
  if (!dryRun) metrics.count('importedBytes', {}, writtenBytes)
  const why = reason === undefined ? {} : { reason: redactText(reason) }
  const fields = { outcome, ...counts, durationMs: Math.round(event.durationMs), ...why }
  if (outcome === 'refused') logger.warn(fields, 'import ended')
  else logger.info(fields, 'import ended')
}
