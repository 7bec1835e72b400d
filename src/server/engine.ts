// Everything behind the listeners: content, upstreams, the registry over them, and what works by
// itself beside it. A part of the composition root: it says who gets what, and decides nothing.
// Listeners, log and metrics are of compose.ts and start.ts.
import { randomBytes } from 'node:crypto'
import type { Haste } from '../async/haste.ts'
import type { SqliteCatalog } from '../catalog/sqlite/catalog.ts'
import type { Closing } from './closing.ts'
import type { Config } from '../config/config.ts'
import { type Content, openContent } from './content.ts'
import { createDeliveries, type Deliveries } from '../delivery/create-deliveries.ts'
import type { Logger } from '../observe/log.ts'
import type { JobControl } from '../registry/job.ts'
import type { RegistryHost } from '../oci/reference.ts'
import type { RepairDeps } from '../registry/fsck/run-fsck.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { Epochs } from '../registry/epochs.ts'
import type { ReadCached } from '../registry/fill/buffer-pool.ts'
import { Held, pinsAndHeld } from '../registry/carry/held.ts'
import { BlobsInUse } from '../registry/reading/blobs-in-use.ts'
import { PinnedBytes } from '../registry/pins/pinned-bytes.ts'
import { Pins, type PinsDeps } from '../registry/pins/pins.ts'
import { neverUnset } from '../registry/time/unset-clock.ts'
import { createRegistry } from '../registry/registry.ts'
import type { OtherThreads, RegistryDeps, RunningRegistry } from '../registry/running-registry.ts'
import { fromUpstream } from '../registry/scrub/from-upstream.ts'
import { scrub, scrubThese } from '../registry/scrub/scrub.ts'
import { createPolicies } from '../registry/routing/repository-policies.ts'
import type { RetentionNow } from '../registry/retain/explain-retention.ts'
import type { RepositoryPolicies } from '../registry/routing/repository-policy.ts'
import type { StorageLimits } from '../registry/space/limits.ts'
import { recount } from '../registry/collect/recount.ts'
import { Collection } from '../upkeep/collection.ts'
import { createCleanup } from '../upkeep/cleanup.ts'
import { Jobs, type ScheduledJob } from '../upkeep/jobs.ts'
import { type LastRuns, openLastRuns } from '../upkeep/last-runs.ts'
import { createRetention } from '../upkeep/retention.ts'
import { tidyCatalog } from '../registry/collect/tidy-catalog.ts'
import { createPurgeJob } from '../upkeep/purge-job.ts'
import { ScrubJob } from '../upkeep/scrub-job.ts'
import { createUploadPurge } from '../upkeep/purge-uploads.ts'
import { openRoom } from './room.ts'
import { Upstreams } from './upstreams.ts'

/** Whoever knows an upload's id may write to it: 144 bits are beyond guessing. */
const UPLOAD_ID_BYTES = 18

export interface EngineDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  readonly bootId: string
  /** See DeliveriesParts. */
  readonly settlingMs?: number
  readonly note: NoteEvent
  readonly logger: Logger
  /** Of all threads. */
  readonly epochs: Epochs
  /** Of RegistryDeps. */
  readonly haste: Haste
  /** Of RegistryDeps. */
  readonly readCached: ReadCached | undefined
  /** Of RegistryDeps. */
  readonly elsewhere: OtherThreads | undefined
  /** Of ContentDeps. */
  readonly addon: string | undefined
  /** Of ContentDeps. */
  readonly opening: Promise<SqliteCatalog>
  /** Is given what has to be closed. */
  readonly undo: Closing
}

export interface Engine extends Content {
  readonly registry: RunningRegistry
  readonly upstreams: Upstreams
  readonly deliveries: Pick<Deliveries, 'nudge'>
  readonly policies: RepositoryPolicies
  readonly storageLimits: () => StorageLimits
  readonly retention: () => RetentionNow
  /** What is done again and again, for operators to look at and to begin. */
  readonly jobs: JobControl
  /** Of RepairDeps. */
  readonly scrubThese: RepairDeps['scrubThese']
  readonly pins: Pins
  readonly pinnedBytes: PinnedBytes
  /** By exports and backups under way. */
  readonly held: Held
  /** Begins what works by itself. Call it once clients can be heard. */
  start(): void
  /** Takes over what can change while running. What is under way goes on by what it began with. */
  replace(config: Config): void
}

/** @throws StoreError, with a message for the operator */
export async function openEngine(config: Config, deps: EngineDeps): Promise<Engine> {
  const { note, undo, haste, epochs, readCached, elsewhere } = deps
  const ofAllThreads = { epochs, readCached, elsewhere }
  const clock = await neverUnset(deps.clock, await deps.opening)
  let rules = createPolicies(config.repositories)
  const policies: RepositoryPolicies = { find: repository => rules.find(repository) }
  const content = await openContent(config.storage, { ...deps, clock, policies })
  const noteAndNudge = nudging(note, host => deliveries.nudge(host))
  const pins = await openPins(config, { ...content, clock, epochs })
  const lastRuns = await openLastRuns(content.catalog)
  const upstreams = new Upstreams(config, { ...deps, note: noteAndNudge })
  undo.push(() => upstreams.close())
  const parts = { ...content, clock, note, namespaces: upstreams, policies, pins, held: new Held() }
  const room = openRoom(config, parts)
  const registry = createRegistry({
    ...parts,
    ...holding(parts),
    ...room.forRegistry,
    inUse: new BlobsInUse(),
    route: (...asked) => upstreams.route(...asked),
    newUploadId: () => randomBytes(UPLOAD_ID_BYTES).toString('base64url'),
    ...ofAllThreads,
    haste,
    queued: () => deliveries.nudge(),
    loosened: () => upkeep.loosened(),
    unsettledMs: key => deliveries.unsettledMs(key),
  })
  undo.push(() => registry.stop())
  const deliveries = createDeliveries({
    ...parts,
    random: deps.random,
    turns: registry.turns,
    delivered: (repository, what) => registry.delivered(repository, what),
    ...(deps.settlingMs === undefined ? {} : { settlingMs: deps.settlingMs }),
  })
  undo.push(() => deliveries.stop())
  undo.push(() => room.stop())
  const upkeep = openUpkeep(config, { ...parts, registry, lastRuns, undo })
  return {
    ...content,
    registry,
    upstreams,
    deliveries,
    policies,
    storageLimits: room.forRegistry.storageLimits,
    ...upkeep.shown,
    pins,
    pinnedBytes: new PinnedBytes(parts),
    held: parts.held,
    start: () => {
      void registry.leaving.finish()
      content.takeStock(registry)
      deliveries.start()
      room.start(registry)
      upkeep.start()
    },
    replace: next => {
      upstreams.replace(next)
      rules = createPolicies(next.repositories)
      room.replace(next)
      pins.replaceConfigured(next.pins)
      upkeep.replace(next)
      epochs.bumpAll()
      // New credentials, another address, online again: any of them may be what something waits
      // for.
      for (const { registry: host } of next.upstreams) deliveries.anew(host)
    },
  }
}

/** Nothing leaves that an operator pinned, or that an export or a backup under way reads. */
function holding({
  pins,
  held,
}: Pick<Engine, 'pins' | 'held'>): Pick<RegistryDeps, 'pins' | 'isHeld'> {
  return { pins: pinsAndHeld(pins, held), isHeld: digest => held.keepsFile(digest) }
}

/** What waits for an upstream is tried as soon as it answers somebody else again. */
function nudging(note: NoteEvent, nudge: (registry: RegistryHost) => void): NoteEvent {
  return event => {
    note(event)
    if (event.kind === 'upstream breaker' && event.state === 'closed') nudge(event.registry)
  }
}

async function openPins({ pins: configured }: Config, deps: PinsDeps): Promise<Pins> {
  const pins = new Pins(deps)
  pins.replaceConfigured(configured)
  await pins.load()
  return pins
}

interface UpkeepParts extends Pick<Content, 'store' | 'catalog' | 'content'> {
  readonly namespaces: Upstreams
  readonly clock: Clock
  readonly note: NoteEvent
  readonly registry: RunningRegistry
  readonly lastRuns: LastRuns
  readonly undo: Closing
}

interface Upkeep extends Pick<Engine, 'start' | 'replace'> {
  /** To whoever tells operators of it. */
  readonly shown: Pick<Engine, 'jobs' | 'scrubThese' | 'retention'>
  loosened(): void
}

/** What works by itself beside deliveries, each at its own pace, and what operators ask for. */
function openUpkeep(config: Config, { registry, undo, ...parts }: UpkeepParts): Upkeep {
  let { storage } = config
  const uploads = createUploadPurge({
    settings: () => storage.uploadPurging,
    purge: options => registry.purgeUploads(options),
  })
  const cleanup = createCleanup({
    ...parts,
    expirePendingBlobs: signal => registry.expirePendingBlobs(signal),
    tidyCatalog: signal => tidyCatalog(parts, signal),
    recount: signal => recount(parts, signal),
    forgetDeletes: signal => registry.forgetDeletes(signal),
    noteTime: () => registry.noteTime(),
  })
  const gc = new Collection({
    ...parts,
    intervalMs: () => storage.collection.intervalMs,
    collect: run => registry.collect(run),
    graceLeftMs: () => registry.graceLeftMs(),
    rescheduled: () => jobs.rescheduled(),
  })
  const retention = createRetention({
    clock: parts.clock,
    settings: () => storage.retention,
    retain: (rules, run) => registry.retain(rules, run),
  })
  // Operators alone begin it: by itself that is done when a limit is passed (upkeep/keep-room.ts).
  const evict: ScheduledJob = {
    name: 'evict',
    schedule: () => undefined,
    run: run => registry.evict(run),
  }
  const purge = createPurgeJob((selector, options) => registry.purge(selector, options))
  const scrubbed = { ...parts, sources: [fromUpstream({ ...parts, registry })] }
  const scrubJob = new ScrubJob({
    ...parts,
    settings: () => storage.scrub,
    scrub: (run, extent) => scrub(scrubbed, run, extent),
  })
  const jobs = new Jobs([cleanup, evict, gc, purge, retention, scrubJob, uploads], parts)
  undo.push(() => jobs.stop())
  return {
    shown: {
      jobs,
      scrubThese: (run, digests) => scrubThese(scrubbed, run, digests),
      retention: () => storage.retention,
    },
    loosened: () => void gc.loosened(),
    start: () => {
      jobs.start()
      // Also what waits since an earlier process, and by which grace.
      void gc.loosened()
    },
    replace: next => {
      const { delayMs } = storage.collection
      storage = next.storage
      if (storage.collection.delayMs !== delayMs) gc.graceChanged()
      jobs.rescheduled()
    },
  }
}
