// What the engine tells about content that was verified again, as metrics and log lines.
import type { Event, Notebook } from './note-push.ts'

const HINTS = {
  mended: 'somebody or something has changed the mode of a file: see what else it did',
  refetched: 'check the disk: it has changed or lost what it was given',
  forgotten: 'check the disk; what was pulled is fetched when it is next asked for',
  broken:
    'push the image again, import its bundle again, or bring the file back from a backup; then check the disk ("entrepot scrub" tells all that is broken)',
} as const

export function noteReread({ blobs, bytes }: Event<'reread'>, { metrics }: Notebook): void {
  metrics.count('scrubBlobs', {}, blobs)
  metrics.count('scrubBytes', {}, bytes)
}

export function noteDamaged(event: Event<'damaged'>, { logger, metrics }: Notebook): void {
  const { digest, became, reason } = event
  metrics.count('scrubDamaged', { became })
  const level = became === 'broken' ? 'error' : 'warn'
  logger[level]({ digest, became, reason, hint: HINTS[became] }, 'content was damaged')
}
