// What deliveries are made from and what they are made to: a disk and a catalog that outlive
// processes, a registry as a model, a clock that a test moves; and pushes as registry/ records
// them. For the outbox's unit tests and for the simulation of its life.
import { createMemoryCatalog } from '../memory/catalog.ts'
import { createDeliveries, type Deliveries } from '../../../src/delivery/create-deliveries.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { parseTag, type Repository, repositoryKey, type Tag } from '../../../src/oci/reference.ts'
import {
  EXPECTED_MAX,
  formatDelivery,
  parseDelivery,
} from '../../../src/registry/deliveries/delivery-payload.ts'
import { asRecorded } from '../../../src/registry/content/edges.ts'
import type { Delivery } from '../../../src/registry/ports/outbox.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import type { Fact } from '../../../src/registry/ports/facts.ts'
import { DENIED, type RepositoryPolicy } from '../../../src/registry/routing/repository-policy.ts'
import { Turns } from '../../../src/async/turns.ts'
import { createMemoryDisk, createMemoryStore } from '../memory/store.ts'
import { createMemoryFacts } from '../memory/facts.ts'
import { NAMESPACE, DOCKER_IO } from '../engine.ts'
import type { Image } from '../image.ts'
import { createManualClock } from '../manual-clock.ts'
import { type Life, mortal, startLife } from './mortal.ts'
import { factsOf } from '../judges/facts-of.ts'
import { createUpstreamModel } from '../stubs/upstream-model.ts'

export interface WorldOptions {
  readonly settlingMs?: number
  /** In [0, 1); default the middle. */
  readonly random?: () => number
}

/** A running process: what it has in memory goes with it. */
export interface Process {
  readonly life: Life
  readonly turns: Turns
  readonly deliveries: Deliveries
}

type World = ReturnType<typeof createWorld>

export function createWorld(options: WorldOptions = {}) {
  const disk = createMemoryDisk()
  const clock = createManualClock()
  const model = createUpstreamModel()
  const events: EngineEvent[] = []
  const policy: { -readonly [K in keyof RepositoryPolicy]: RepositoryPolicy[K] } = {
    ...DENIED,
    push: 'queue',
  }
  const namespace = { isKnown: true, isOffline: false }
  const world = {
    disk,
    clock,
    model,
    events,
    policy,
    namespace,
    store: createMemoryStore(disk, { clock }),
    facts: createMemoryFacts(disk),
    catalog: createMemoryCatalog(),
    /** Begins to carry at once. Of several only one may live. */
    start: () => startProcess(world, options),
    push: (image: Image, push: Push) => recordPush(world, image, push),
    entries: () => world.catalog.listDeliveries({ limit: 10_000 }),
    factsOf: (kind: Fact['kind']) => factsOf(world.facts, kind),
    /** As `entrepot queue retry` does. */
    retry: async ({ id, reason }: Delivery) => {
      const nextAtMs = clock.nowMs()
      await world.catalog.changeDelivery(id, { state: 'waiting', attempts: 0, nextAtMs, reason })
    },
  }
  return world
}

function startProcess(world: World, { settlingMs, random = () => 0.5 }: WorldOptions): Process {
  const { catalog, store, facts, clock, model, namespace, policy, events } = world
  const life = startLife()
  const turns = new Turns()
  const upstream = mortal(model.upstream, life)
  const deliveries = createDeliveries({
    catalog: mortal(catalog, life),
    store: mortal(store, life),
    facts: mortal(facts, life),
    clock: { ...clock, sleep: mortal(clock, life).sleep },
    note: event => events.push(event),
    random,
    turns,
    policies: { find: () => policy },
    namespaces: {
      find: registry => {
        if (registry !== DOCKER_IO || !namespace.isKnown) return undefined
        const offline = namespace.isOffline
        const freshness = { ttlMs: 0, tagRules: [], maxStaleMs: 0, offline }
        return { ...NAMESPACE, upstream, policy: freshness }
      },
      list: () => [],
      allShare: true,
    },
    ...(settlingMs === undefined ? {} : { settlingMs }),
  })
  deliveries.start()
  return { life, turns, deliveries }
}

export interface Push {
  readonly repository: Repository
  readonly tags?: readonly string[]
  /**
   * What the edge knew the upstream's tags to be. Default: what the catalog and the outbox say, as
   * registry/ does.
   */
  readonly expected?: readonly Image[]
  /** What is pushed without being here. Default nothing. */
  readonly without?: readonly string[]
}

/**
 * Content, facts and entry as a push in a `queue` repository leaves them. Resolves to the entry's
 * id when it was acknowledged.
 */
async function recordPush(world: World, image: Image, push: Push): Promise<number> {
  const { catalog, facts, clock } = world
  const { repository, tags: names = [], expected, without = [] } = push
  await keepContent(world, image, { repository, without })
  const key = repositoryKey(repository)
  const { digest, mediaType } = image.manifest
  const tags = names.map(parseTag)
  const atMs = clock.nowMs()
  const delivered = await Promise.all(
    tags.map(async tag => ({
      tag,
      expected:
        expected?.map(({ manifest }) => manifest.digest) ?? (await knownOf(world, repository, tag)),
    })),
  )
  const id = catalog.sequence()
  const delivery = formatDelivery(repository, { digest, mediaType, tags: delivered }, { id, atMs })
  await facts.write([
    { kind: 'manifest', repository: key, digest, mediaType, atMs },
    ...tags.map(tag => ({ kind: 'tag', repository: key, tag, digest, atMs }) as const),
    { kind: 'delivery', ...delivery },
  ])
  const manifest = factOf(image)
  const record = { repository, manifest, tags, delivery, atMs }
  await catalog.recordPush({ ...record, hold: 'undelivered' })
  return id
}

/** Where the tag may point at the upstream, as far as this edge knows. */
async function knownOf({ catalog }: World, repository: Repository, tag: Tag) {
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  const fromEntries = entries.flatMap(({ payload }) => {
    const delivery = parseDelivery(payload)
    const carried = delivery?.tags.find(each => each.tag === tag)
    return delivery === undefined || carried === undefined
      ? []
      : [...carried.expected, delivery.digest]
  })
  const row = await catalog.findTag(repository, tag)
  const known = row === undefined ? fromEntries : [...fromEntries, row.digest]
  return [...new Set(known)].slice(-EXPECTED_MAX)
}

async function keepContent(
  world: World,
  image: Image,
  { repository, without }: { repository: Repository; without: readonly string[] },
): Promise<void> {
  const { store, catalog, clock } = world
  const kept = { repository, hold: 'awaited', atMs: clock.nowMs() } as const
  for (const child of image.children) {
    await keepContent(world, child, { repository, without })
    if (!without.includes(child.manifest.digest))
      await catalog.recordPush({ ...kept, manifest: factOf(child), tags: [] })
  }
  const isIndex = image.children.length > 0
  for (const content of isIndex ? [] : [image.config, ...image.layers]) {
    const { digest, sizeBytes } = content
    if (without.includes(digest)) continue
    await store.put(digest, content.bytes(), 'kept')
    await catalog.recordBlob({ ...kept, digest, sizeBytes })
  }
  const { digest, bytes } = image.manifest
  if (!without.includes(digest)) await store.put(digest, bytes, 'kept')
}

function factOf({ manifest }: Image) {
  const { bytes, mediaType } = manifest
  return asRecorded(parseManifest(bytes, mediaType), digestOf(bytes), bytes.length)
}
