// What a scrape of the metrics and the status page read of the running parts: a part of the
// composition root.
import type { RobotNow } from '../accounts/tokens/robots.ts'
import { ROBOT_STATES } from '../observe/auth-metrics.ts'
import type { Content } from './content.ts'
import type { Metrics, WatchedGauges } from '../observe/metrics.ts'
import type { Departures, RobotsNow, Traffic } from '../registry/operator/operator-deps.ts'
import type { Namespaces } from '../registry/routing/namespaces.ts'
import type { PinnedBytes } from '../registry/pins/pinned-bytes.ts'
import type { Pins } from '../registry/pins/pins.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { LEAVE_REASONS, type LeaveReason } from '../registry/ports/catalog-space.ts'
import { bytesByUpstream, roomNow, type RoomNowDeps } from '../registry/space/room-now.ts'
import type { ThreadState } from '../threads/http-threads.ts'

interface GaugedEngine
  extends Pick<Content, 'store' | 'catalog' | 'stock'>,
    Pick<RoomNowDeps, 'registry' | 'storageLimits'> {
  readonly upstreams: Pick<Namespaces, 'list'>
  readonly pins: Pick<Pins, 'list'>
  readonly pinnedBytes: Pick<PinnedBytes, 'read'>
}

/** What is so at this moment. @throws StoreError */
export async function readGauges(engine: GaugedEngine, clock: Clock): Promise<WatchedGauges> {
  const { store, catalog, stock } = engine
  const [room, ofUpstreams, totals, returned, outbox, uploads, pinned, broken, verifiedMs] =
    await Promise.all([
      roomNow(engine),
      bytesByUpstream(catalog, engine.upstreams),
      catalog.totals(),
      catalog.returnedImages(),
      catalog.outboxTotals(),
      store.listUploads(),
      engine.pinnedBytes.read(),
      catalog.countBroken(),
      catalog.unverifiedSince(),
    ])
  const { blobs, manifests, repositories, tags, contentBytes } = totals
  const nowMs = clock.nowMs()
  return {
    storageFree: room.freeBytes,
    storageTotal: room.totalBytes,
    // A clock that was set back makes it no younger.
    storageUnwritable: room.unwritable ? Math.max(1, (nowMs - room.unwritable.sinceMs) / 1000) : 0,
    storageTaken: room.takenBytes,
    storageLimit: room.maxBytes,
    storageMinFree: room.minFreeBytes,
    storagePushReserve: room.pushReserveBytes,
    contentBytes,
    contentHeld: [
      { labels: { as: 'kept' }, value: room.keptBytes },
      { labels: { as: 'cached' }, value: room.cachedBytes },
      { labels: { as: 'leaving' }, value: room.leavingBytes },
    ],
    contentOf: [...ofUpstreams].map(([upstream, value]) => ({ labels: { upstream }, value })),
    pins: engine.pins.list().length,
    ...(pinned === undefined ? {} : { pinnedBytes: pinned }),
    ...(stock.lost === undefined ? {} : { lost: stock.lost }),
    scrubBroken: broken,
    // A clock that was set back makes nothing younger than new.
    ...(verifiedMs ? { scrubOldest: Math.max(0, nowMs - verifiedMs) / 1000 } : {}),
    returnedImages: returned.images,
    returnedBytes: returned.bytes,
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

export function readRobots(robots: readonly RobotNow[]): WatchedGauges {
  return {
    authRobots: ROBOT_STATES.map(state => ({
      labels: { state },
      value: robots.filter(robot => robot.state === state).length,
    })),
  }
}

/** Undefined: there are none. */
export function readRobotNames(robots: readonly RobotNow[]): RobotsNow | undefined {
  if (robots.length === 0) return undefined
  const thoseOf = (state: RobotNow['state']) =>
    robots.filter(robot => robot.state === state).map(({ name }) => name)
  return { count: robots.length, expiring: thoseOf('expiring'), expired: thoseOf('expired') }
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

/** Counted since the start. */
export async function readDepartures(metrics: Metrics): Promise<Departures> {
  const ofReason = async (reason: LeaveReason) => {
    const files = await metrics.total('leftFiles', { reason })
    return { reason, files, bytes: await metrics.total('leftBytes', { reason }) }
  }
  const remembered = metrics.lastSet('evictedYoungest')
  return {
    left: await Promise.all(LEAVE_REASONS.map(ofReason)),
    evictedImages: {
      room: await metrics.total('evictedImages', { why: 'room' }),
      quota: await metrics.total('evictedImages', { why: 'quota' }),
    },
    ...(remembered === undefined ? {} : { rememberedMs: Math.round(remembered * 1000) }),
  }
}
