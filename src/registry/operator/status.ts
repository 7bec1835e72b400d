// The state of this edge in one page: what it holds, what it saved, and how its upstreams are.
import type { Waiting } from '../collect/collect.ts'
import type { JobName } from '../job.ts'
import type { CatalogTotals } from '../ports/catalog-content.ts'
import type { ReturnedImages } from '../ports/catalog-images.ts'
import type { OutboxTotals } from '../ports/outbox.ts'
import type { UpstreamHealth } from '../ports/upstream.ts'
import { whyWaiting } from './queue.ts'
import { bytesByUpstream, type RoomNow, roomNow } from '../space/room-now.ts'
import type { Refused } from '../space/want-of-space.ts'
import type {
  AccountsNow,
  CertificatesNow,
  Departures,
  OperatorDeps,
  RefusedReload,
  RobotsNow,
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
  /** Absent: plain HTTP. */
  readonly certificates?: CertificatesNow
  /** Absent: there is no file of them. */
  readonly accounts?: AccountsNow
  /** Absent: there are none. */
  readonly robots?: RobotsNow
  /** Where operators of other machines call; absent: nowhere. */
  readonly adminApi?: string
  readonly threads: ServingThreads
  readonly content: CatalogTotals
  readonly storage: RoomNow & {
    /**
     * Why nothing that comes from an upstream is kept now, and what to do; absent while there is
     * room.
     */
    readonly full?: string
    /** For want of room, since the start. */
    readonly refused: Refused
    /** Stays until `storage.gc.delay` is over; absent when there is nothing of it. */
    readonly deleted?: Waiting & { readonly nextAtMs: number }
  }
  /** Those that an operator holds, until they are resumed or the server is started again. */
  readonly pausedJobs: readonly JobName[]
  readonly departures: Departures & {
    /** Those that twice the room would have kept, since the catalog was begun. */
    readonly returned: ReturnedImages
  }
  /** How many there are. */
  readonly pins: number
  /** What they hold, in whole blocks, as of some minutes ago; absent while it is being counted. */
  readonly pinnedBytes?: number
  /**
   * Manifests, tags and queued pushes that are lost, and facts that cannot be read: what may be of
   * them stays. Absent while that is being found out.
   */
  readonly lost?: number
  readonly scrub: {
    /** Found broken, and still is as far as anybody has looked. */
    readonly broken: number
    /** When that was verified which was longest ago; 0: never. Absent while nothing is here. */
    readonly oldestAtMs?: number
  }
  readonly traffic: Traffic
  /** What waits to be delivered. */
  readonly queue: {
    readonly waiting: number
    readonly parked: number
    /** Of what is not parked: since when. Absent when there is none. */
    readonly oldestAtMs?: number
    /** Why the first that waits was not delivered when it was tried; absent when none failed. */
    readonly reason?: string
  }
  /** Begun by clients, and neither finished nor given up. */
  readonly uploads: { readonly sessions: number; readonly bytes: number }
  /** The server's clock, for ages. */
  readonly nowMs: number
  readonly upstreams: readonly UpstreamNow[]
}

interface UpstreamNow extends UpstreamHealth {
  readonly offline: boolean
  /** By its repositories, in whole blocks; absent for a registry that clients named. */
  readonly heldBytes?: number
}

export async function describeStatus(deps: OperatorDeps): Promise<Status> {
  const { catalog, store, namespaces } = deps
  // First: it looks, and the rest goes by what it has found.
  const room = await roomNow(deps)
  const deleted = await deletedNow(deps)
  const reason = await whyWaiting(catalog)
  const [content, held, departures, returned, traffic, outbox, uploads, fullBecause, pinned] =
    await Promise.all([
      catalog.totals(),
      bytesByUpstream(catalog, namespaces),
      deps.departures(),
      catalog.returnedImages(),
      deps.traffic(),
      catalog.outboxTotals(),
      store.listUploads(),
      deps.registry.fullBecause(),
      deps.pinnedBytes.read(),
    ])
  const { lost } = deps.stock
  const full = fullBecause === undefined ? {} : { full: fullBecause }
  const refusedReload = deps.refusedReload()
  const certificates = deps.certificates()
  const accounts = deps.accounts()
  const robots = deps.robots()
  const adminApi = deps.adminApi()
  return {
    version: deps.version,
    pid: deps.pid,
    needsRestart: deps.needsRestart(),
    ...(refusedReload === undefined ? {} : { refusedReload }),
    ...(certificates === undefined ? {} : { certificates }),
    ...(accounts === undefined ? {} : { accounts }),
    ...(robots === undefined ? {} : { robots }),
    ...(adminApi === undefined ? {} : { adminApi }),
    ...deps.sending,
    threads: deps.threads(),
    content,
    storage: { ...room, ...full, refused: deps.registry.refusedForSpace(), ...deleted },
    pausedJobs: deps.jobs
      .list()
      .jobs.filter(({ isPaused }) => isPaused)
      .map(({ name }) => name),
    departures: { ...departures, returned },
    pins: deps.pins.list().length,
    ...(pinned === undefined ? {} : { pinnedBytes: pinned }),
    ...(lost === undefined ? {} : { lost }),
    scrub: await scrubNow(deps),
    traffic,
    queue: { ...sumQueue(outbox), ...(reason === undefined ? {} : { reason }) },
    uploads: {
      sessions: uploads.length,
      bytes: uploads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    },
    nowMs: deps.clock.nowMs(),
    upstreams: namespaces.list().map(({ upstream, policy, namedByClient }) => ({
      ...upstream.health(),
      offline: policy.offline,
      ...(namedByClient ? {} : { heldBytes: held.get(upstream.registry) ?? 0 }),
    })),
  }
}

async function scrubNow({ catalog }: OperatorDeps): Promise<Status['scrub']> {
  const oldestAtMs = await catalog.unverifiedSince()
  const oldest = oldestAtMs === undefined ? {} : { oldestAtMs }
  return { broken: await catalog.countBroken(), ...oldest }
}

async function deletedNow({
  registry,
  clock,
}: OperatorDeps): Promise<Pick<Status['storage'], 'deleted'>> {
  const leftMs = await registry.graceLeftMs()
  if (leftMs === undefined) return {}
  const waiting = await registry.whatWaits()
  return waiting.bytes === 0 ? {} : { deleted: { ...waiting, nextAtMs: clock.nowMs() + leftMs } }
}

function sumQueue(outbox: readonly OutboxTotals[]): Status['queue'] {
  const oldestAtMs = Math.min(...outbox.map(each => each.oldestAtMs ?? Number.POSITIVE_INFINITY))
  return {
    waiting: outbox.reduce((sum, { waiting }) => sum + waiting, 0),
    parked: outbox.reduce((sum, { parked }) => sum + parked, 0),
    ...(Number.isFinite(oldestAtMs) ? { oldestAtMs } : {}),
  }
}
