// Everything behind the listeners: content, upstreams, the registry over them, and what works by
// itself beside it. A part of the composition root: it says who gets what, and decides nothing.
// Listeners, log and metrics are of compose.ts and start.ts.
import { randomBytes } from 'node:crypto'
import type { SqliteCatalog } from '../catalog/sqlite/catalog.ts'
import type { Closing } from './closing.ts'
import type { Config } from '../config/config.ts'
import { type Content, maxContentBytes, openContent } from './content.ts'
import { createDeliveries, type Deliveries } from '../delivery/create-deliveries.ts'
import type { Logger } from '../observe/log.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { Epochs } from '../registry/epochs.ts'
import type { ReadCached } from '../registry/fill/buffer-pool.ts'
import { createRegistry, type RunningRegistry } from '../registry/registry.ts'
import { createPolicies } from '../registry/repository-policies.ts'
import type { RepositoryPolicies } from '../registry/repository-policy.ts'
import { UploadPurge } from '../upkeep/purge-uploads.ts'
import { PeriodicCleanup } from '../upkeep/periodic-cleanup.ts'
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
  readonly readCached: ReadCached | undefined
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
  readonly maxStorageBytes: number
  /** Begins what works by itself. Call it once clients can be heard. */
  start(): void
  /** Takes over what can change while running. What is under way goes on by what it began with. */
  replace(config: Config): void
}

/** @throws StoreError, with a message for the operator */
export async function openEngine(config: Config, deps: EngineDeps): Promise<Engine> {
  const { clock, note, undo, epochs } = deps
  let rules = createPolicies(config.repositories)
  const policies: RepositoryPolicies = { find: repository => rules.find(repository) }
  const content = await openContent(config.storage, { ...deps, policies })
  const maxStorageBytes = await maxContentBytes(config.storage, content.store)
  // What waits for an upstream is tried as soon as it answers somebody else again.
  const noteAndNudge: NoteEvent = event => {
    note(event)
    if (event.kind === 'upstream breaker' && event.state === 'closed')
      deliveries.nudge(event.registry)
  }
  const upstreams = new Upstreams(config, { ...deps, note: noteAndNudge })
  undo.push(() => upstreams.close())
  const parts = { ...content, clock, note, namespaces: upstreams, policies }
  const registry = createRegistry({
    ...parts,
    route: (target, host) => upstreams.route(target, host),
    newUploadId: () => randomBytes(UPLOAD_ID_BYTES).toString('base64url'),
    maxStorageBytes,
    epochs,
    readCached: deps.readCached,
    queued: () => deliveries.nudge(),
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
  const upkeep = openUpkeep(config, { ...parts, registry, undo })
  return {
    ...content,
    registry,
    upstreams,
    deliveries,
    policies,
    maxStorageBytes,
    start: () => {
      content.compareFacts(signal => registry.compareFacts(signal))
      deliveries.start()
      upkeep.start()
    },
    replace: next => {
      upstreams.replace(next)
      rules = createPolicies(next.repositories)
      upkeep.replace(next)
      epochs.bumpAll()
      // New credentials, another address, online again: any of them may be what something waits
      // for.
      for (const { registry: host } of next.upstreams) deliveries.anew(host)
    },
  }
}

interface UpkeepParts extends Pick<Content, 'store'> {
  readonly clock: Clock
  readonly note: NoteEvent
  readonly registry: RunningRegistry
  readonly undo: Closing
}

/** What works by itself beside deliveries, each at its own pace. */
function openUpkeep(
  { storage }: Config,
  { registry, undo, ...parts }: UpkeepParts,
): Pick<Engine, 'start' | 'replace'> {
  const purge = new UploadPurge(storage.uploadPurging, {
    ...parts,
    purge: options => registry.purgeUploads(options),
  })
  undo.push(() => purge.stop())
  const cleanup = new PeriodicCleanup({
    ...parts,
    expirePendingBlobs: signal => registry.expirePendingBlobs(signal),
  })
  undo.push(() => cleanup.stop())
  return {
    start: () => {
      purge.start()
      cleanup.start()
    },
    replace: next => purge.replace(next.storage.uploadPurging),
  }
}
