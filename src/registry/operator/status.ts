// The state of this edge in one page: what it holds, what it saved, and how its upstreams are.
import type { CatalogTotals } from '../ports/catalog-content.ts'
import type { OutboxTotals } from '../ports/outbox.ts'
import type { UpstreamHealth } from '../ports/upstream.ts'
import { reachableBytes } from '../space.ts'
import type { Refused } from '../want-of-space.ts'
import type {
  OperatorDeps,
  RefusedReload,
  Sending,
  ServingThreads,
  Traffic,
} from './operator-deps.ts'

export type Status = Sending & StatusPage

interface StatusPage {
  readonly version: string
  /** The process, for a signal. */
  readonly pid: number
  /** Keys of the configuration that have changed since the start and wait for another one. */
  readonly needsRestart: readonly string[]
  /** The last reload, if it was refused; what was loaded before is in force. */
  readonly refusedReload?: RefusedReload
  readonly threads: ServingThreads
  readonly content: CatalogTotals
  readonly storage: {
    readonly freeBytes: number
    readonly totalBytes: number
    /**
     * Most that content can come to: `storage.maxsize`, or what the disk can give if that is less.
     */
    readonly maxBytes: number
    /**
     * Why nothing that comes from an upstream is kept now, and what to do; absent while there is
     * room.
     */
    readonly full?: string
    /** For want of room, since the start. */
    readonly refused: Refused
  }
  readonly traffic: Traffic
  /** What waits to be delivered. */
  readonly queue: {
    readonly waiting: number
    readonly parked: number
    /** Of what is not parked: since when. Absent when there is none. */
    readonly oldestAtMs?: number
  }
  /** Begun by clients, and neither finished nor given up. */
  readonly uploads: { readonly sessions: number; readonly bytes: number }
  /** The server's clock, for ages. */
  readonly nowMs: number
  readonly upstreams: readonly (UpstreamHealth & { readonly offline: boolean })[]
}

export async function describeStatus(deps: OperatorDeps): Promise<Status> {
  const { catalog, store, namespaces, maxStorageBytes } = deps
  const [content, space, traffic, outbox, uploads, fullBecause] = await Promise.all([
    catalog.totals(),
    store.space(),
    deps.traffic(),
    catalog.outboxTotals(),
    store.listUploads(),
    deps.registry.fullBecause(),
  ])
  const full = fullBecause === undefined ? {} : { full: fullBecause }
  const refusedReload = deps.refusedReload()
  const maxBytes = reachableBytes(maxStorageBytes, content.contentBytes, space)
  return {
    version: deps.version,
    pid: deps.pid,
    needsRestart: deps.needsRestart(),
    ...(refusedReload === undefined ? {} : { refusedReload }),
    ...deps.sending,
    threads: deps.threads(),
    content,
    storage: {
      freeBytes: space.freeBytes,
      totalBytes: space.totalBytes,
      maxBytes,
      ...full,
      refused: deps.registry.refusedForSpace(),
    },
    traffic,
    queue: sumQueue(outbox),
    uploads: {
      sessions: uploads.length,
      bytes: uploads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    },
    nowMs: deps.clock.nowMs(),
    upstreams: namespaces
      .list()
      .map(({ upstream, policy }) => ({ ...upstream.health(), offline: policy.offline })),
  }
}

function sumQueue(outbox: readonly OutboxTotals[]): Status['queue'] {
  const oldestAtMs = Math.min(...outbox.map(each => each.oldestAtMs ?? Number.POSITIVE_INFINITY))
  return {
    waiting: outbox.reduce((sum, { waiting }) => sum + waiting, 0),
    parked: outbox.reduce((sum, { parked }) => sum + parked, 0),
    ...(Number.isFinite(oldestAtMs) ? { oldestAtMs } : {}),
  }
}
