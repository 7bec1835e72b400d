// The edge of a simulation: the real registry, deliveries and what takes content away, over twins
// of its disk and catalog that outlive it, with a registry as a model for its upstream. Each call
// to any of these waits for its turn.
import { writesTo } from '../../../src/catalog/writes.ts'
import { createDeliveries, type Deliveries } from '../../../src/delivery/create-deliveries.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { BlobsInUse } from '../../../src/registry/reading/blobs-in-use.ts'
import { StoredContent, type TurnsOfDigests } from '../../../src/registry/content/content.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import type { Namespaces } from '../../../src/registry/routing/namespaces.ts'
import { Pins } from '../../../src/registry/pins/pins.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import { type Upstream, UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { createRegistry } from '../../../src/registry/registry.ts'
import type { RunningRegistry } from '../../../src/registry/running-registry.ts'
import { createPolicies } from '../../../src/registry/routing/repository-policies.ts'
import { createRoute } from '../../../src/registry/routing/route.ts'
import { blobAnswer, DOCKER_IO, HEALTHY, NAMESPACE } from '../engine.ts'
import { createMemoryCatalog } from '../memory/catalog.ts'
import { createMemoryFacts } from '../memory/facts.ts'
import { createMemoryDisk, createMemoryStore } from '../memory/store.ts'
import { everywhere } from '../worlds/rebuilt.ts'
import { limitsOf } from '../storage-limits.ts'
import { createUpstreamModel } from '../stubs/upstream-model.ts'
import { QUOTA_RULES, quotasOf } from './operator.ts'
import { Power } from './power.ts'
import type { Process, Schedule } from './schedule.ts'

/** What the operator says: where to push, and what for. */
const RULES = [
  ...everywhere({ match: 'localhost/**', push: 'store' }),
  ...everywhere({ match: 'docker.io/team/**', push: 'queue' }),
  ...everywhere({ match: 'docker.io/library/**', push: 'deny' }),
]

const OPERATED = [...QUOTA_RULES.flatMap(rule => everywhere({ ...rule, push: 'deny' })), ...RULES]

/** What is there whether or not an edge runs. */
export type World = ReturnType<typeof createWorld>

export interface WorldOptions {
  /** How much the edge may take. Default: as much as it likes. */
  readonly limitBytes?: number
  /** What a pusher was told is there has to be there for an hour. Default: that is not judged. */
  readonly areLeased?: boolean
  /** Of each digest. Default: those that an edge has. */
  readonly turns?: TurnsOfDigests
  /** The disk says that it has synced, and has not. Default: it has. */
  readonly lies?: boolean
  /** There are pins and quotas, and content leaves by the jobs alone. Default false. */
  readonly isOperated?: boolean
  /** The edge does not hear of these; whoever judges does. */
  readonly isDeaf?: 'pins' | 'quotas' | 'retention' | 'purges'
  /** Put between the edge and its catalog. */
  readonly catalog?: (catalog: Catalog) => Catalog
}

export function createWorld(schedule: Schedule, options: WorldOptions = {}) {
  const disk = createMemoryDisk()
  const epochs = createEpochs()
  const model = createUpstreamModel()
  /** `cutStep`: when it was down last. */
  const line = { isDown: false, cutStep: Number.NEGATIVE_INFINITY }
  const events: EngineEvent[] = []
  model.fate = () =>
    line.isDown ? { error: new UpstreamError('unavailable', 'the line is down') } : {}
  return {
    schedule,
    options,
    disk,
    power: new Power(disk, { syncs: options.lies !== true }),
    epochs,
    model,
    line,
    events,
    /** As it is on disk. */
    catalog: createMemoryCatalog({ epochs, identity: 'simulated' }),
    uploads: 0,
    /** Grows when something is pinned no more. */
    unpinned: 0,
    /** What most do something with for a while, so that they meet. */
    hot: 0,
  }
}

/** A process that serves. */
export interface Edge {
  readonly process: Process
  readonly registry: RunningRegistry
  readonly deliveries: Deliveries
  readonly catalog: Catalog
  readonly pins: Pins
  /** Has all that an earlier process left been looked at? */
  readonly stock: { isTaken: boolean }
}

export function startEdge(world: World): Edge {
  const { schedule, disk, power, events, options } = world
  const process = { isOver: false }
  const clock = schedule.clockOf(process)
  const catalog = catalogOf(world, process)
  const known = (digest: Digest) => catalog.findContent(digest)
  const store = schedule.port(power.watch(createMemoryStore(disk, { clock, known })), {
    name: 'store',
    process,
    atOnce: ['mayResume', 'list'],
  })
  const facts = schedule.port(createMemoryFacts(disk, { catalog: catalog.identity }), {
    name: 'facts',
    process,
    atOnce: ['list'],
  })
  const content = new StoredContent({ store, catalog }, options.turns)
  const inUse = new BlobsInUse()
  const policies = createPolicies(options.isOperated === true ? OPERATED : RULES)
  const pins = new Pins({ catalog, clock, epochs: world.epochs })
  void pins.load()
  const quotas = quotasOf(options, policies)
  const namespaces = namespacesOf(upstreamOf(world, process))
  const note = (event: EngineEvent) => void events.push(event)
  const parts = { store, catalog, content, inUse, facts, clock, note, namespaces, policies }
  const registry = createRegistry({
    ...parts,
    quotas: () => quotas,
    ...(options.isDeaf === 'pins' ? {} : { pins }),
    epochs: world.epochs,
    route: createRoute(ROUTES),
    newUploadId: () => `simulated-${(world.uploads += 1)}`,
    storageLimits: () => limitsOf(options.limitBytes, { lowWaterShare: 0.8 }),
    queued: () => deliveries.nudge(),
    unsettledMs: key => deliveries.unsettledMs(key),
  })
  const deliveries = createDeliveries({
    ...parts,
    random: () => schedule.random.below(1_000) / 1_000,
    turns: registry.turns,
    delivered: (repository, what) => registry.delivered(repository, what),
  })
  void registry.leaving.finish()
  const stock = { isTaken: false }
  void takeStock(registry).then(() => {
    stock.isTaken = true
  })
  deliveries.start()
  return { process, registry, deliveries, catalog, pins, stock }
}

/** As after each start. */
async function takeStock(registry: RunningRegistry): Promise<void> {
  const { signal } = new AbortController()
  const { lost } = await registry.compareFacts(signal)
  await registry.adoptFiles({ isAllFound: lost === 0, signal })
}

const ROUTES = {
  defaultRegistry: DOCKER_IO,
  upstreams: new Set([DOCKER_IO]),
  aliases: new Map(),
  ownNames: new Set<never>(),
  virtualHosts: new Map(),
  anyUpstream: false,
}

/** Its writes are one thread's, in the order in which they were asked for. */
function catalogOf(world: World, process: Process): Catalog {
  const { schedule, catalog, epochs, options } = world
  const writes = new Set(Object.keys(writesTo({ write: async () => {}, reads: catalog, epochs })))
  const port = schedule.port(catalog, {
    name: 'catalog',
    process,
    // Pins are read before anybody is served.
    atOnce: ['sequence', 'listPins'],
    inOrder: method => writes.has(method),
  })
  return options.catalog?.(port) ?? port
}

function namespacesOf(upstream: Upstream): Namespaces {
  const policy = { ttlMs: 300_000, tagRules: [], maxStaleMs: Infinity, offline: false }
  const namespace = { ...NAMESPACE, upstream, policy }
  return {
    find: host => (host === DOCKER_IO ? namespace : undefined),
    list: () => [namespace],
    allShare: true,
  }
}

/** The model, that gives blobs as well. */
function upstreamOf({ schedule, model, line }: World, process: Process): Upstream {
  const down = () => new UpstreamError('unavailable', 'the line is down')
  const upstream: Upstream = {
    ...model.upstream,
    getBlob: async (name, digest, { offset }) => {
      if (line.isDown) throw down()
      const bytes = model.repository(name).blobs.get(digest)
      if (bytes === undefined) throw new UpstreamError('not-found', 'no such blob', { status: 404 })
      const half = Math.ceil(bytes.length / 2)
      const wait = async () => {
        await pause.pause()
        if (line.isDown) throw down()
      }
      return blobAnswer(
        [bytes.subarray(offset, Math.max(half, offset)), bytes.subarray(Math.max(half, offset))],
        { offset, totalBytes: bytes.length },
        wait,
      )
    },
    health: () => HEALTHY,
  }
  const pause = schedule.port({ pause: async () => {} }, { name: 'upstream', process })
  return schedule.port(upstream, {
    name: 'upstream',
    process,
    atOnce: ['distrust', 'forgetTokens', 'letNextThrough', 'health'],
  })
}
