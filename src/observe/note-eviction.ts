// What the engine tells about content that leaves for want of room, or does not, as metrics and log
// lines.
import type { Event, Notebook } from './note-push.ts'

/** One line for each batch. */
export function noteEvicted(event: Event<'evicted'>, { logger, metrics }: Notebook): void {
  const { why, images, blobs, bytes, youngestAgeMs, shortestAgeMs } = event
  metrics.count('evictedImages', { why }, images)
  metrics.count('evictedBlobs', { why }, blobs)
  metrics.count('evictedBytes', { why }, bytes)
  if (Number.isFinite(shortestAgeMs)) metrics.set('evictedYoungest', {}, shortestAgeMs / 1000)
  logger.info({ why, images, blobs, bytes, youngestAgeMs }, 'content was evicted')
}

/** One line for each batch but those of the eviction, which writes one that says more. */
export function noteLeft(event: Event<'left'>, { logger, metrics }: Notebook): void {
  const { reason, files, bytes } = event
  metrics.count('leftFiles', { reason }, files)
  metrics.count('leftBytes', { reason }, bytes)
  if (reason !== 'evicted') logger.info({ reason, files, bytes }, 'content left the disk')
}

export function noteMiscounted(
  { contents }: Event<'miscounted'>,
  { logger, metrics }: Notebook,
): void {
  metrics.count('miscounted', {}, contents)
  const hint =
    'it is right now, and nothing left for it; if nothing else has written to catalog.db, please report this'
  logger.warn({ contents, hint }, 'the catalog had counted wrongly what is needed')
}

export function noteNothingEvictable(
  event: Event<'nothing evictable'>,
  { logger, due }: Notebook,
): void {
  const held = due(event.kind)
  if (held === undefined) return
  const { cachedBytes, keptBytes, uploadsBytes, largest } = event
  const hint =
    'what is left is kept, pinned, in use, within the floor of a quota, perhaps of a pushed manifest that is lost, or was deleted less than storage.gc.delay ago: raise storage.maxsize, unpin something, or let kept images go at once with "entrepot purge --kept"; the largest repository is named here; unfinished uploads (uploadsBytes) go once nobody went on with them for an hour, and sooner with a shorter storage.maintenance.uploadpurging.age'
  logger.warn(
    {
      cachedBytes,
      keptBytes,
      uploadsBytes,
      largest: largest?.repository,
      largestBytes: largest?.bytes,
      hint,
      held,
    },
    'there is no room, and nothing that may leave for it',
  )
}
