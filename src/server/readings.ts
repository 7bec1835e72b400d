// What a scrape of the metrics and the status page read of the running parts: a part of the
// composition root.
import type { Content } from './content.ts'
import type { Metrics, WatchedGauges } from '../observe/metrics.ts'
import type { Traffic } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { ThreadState } from '../threads/http-threads.ts'

/** What is so at this moment. @throws StoreError */
export async function readGauges(
  { store, catalog }: Pick<Content, 'store' | 'catalog'>,
  clock: Clock,
): Promise<WatchedGauges> {
  const [space, totals, outbox, uploads] = await Promise.all([
    store.space(),
    catalog.totals(),
    catalog.outboxTotals(),
    store.listUploads(),
  ])
  const { blobs, manifests, repositories, tags, contentBytes } = totals
  const nowMs = clock.nowMs()
  return {
    storageFree: space.freeBytes,
    storageTotal: space.totalBytes,
    contentBytes,
    blobs,
    manifests,
    repositories,
    tags,
    outboxEntries: outbox.flatMap(({ carrier, waiting, parked }) => [
      { labels: { carrier, state: 'waiting' }, value: waiting },
      { labels: { carrier, state: 'parked' }, value: parked },
    ]),
    outboxOldest: outbox.map(({ carrier, oldestAtMs = nowMs }) => ({
      labels: { carrier },
      // A clock that was set back makes nothing younger than new.
      value: Math.max(0, nowMs - oldestAtMs) / 1000,
    })),
    uploadSessions: uploads.length,
    uploadBytes: uploads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

/** How the HTTP threads are. */
export function readThreads(threads: readonly ThreadState[]): WatchedGauges {
  const states = ['starting', 'listening', 'dead'] as const
  return {
    httpThreads: states.map(state => ({
      labels: { state },
      value: threads.filter(thread => thread.state === state).length,
    })),
  }
}

/** Counted since the start. */
export async function readTraffic(metrics: Metrics): Promise<Traffic> {
  const [sentBytes, upstreamBytes, savedBytes, hits, requests] = await Promise.all([
    metrics.total('clientBytes'),
    metrics.total('upstreamBytes'),
    metrics.total('wanSavedBytes'),
    metrics.total('requests', { source: 'hit' }),
    metrics.total('requests'),
  ])
  return { sentBytes, upstreamBytes, savedBytes, hits, requests }
}
