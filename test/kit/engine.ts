// The registry room alone: the real engine over the in-memory twins of store and catalog, with an
// upstream that a test writes as functions. For races and failures that real sockets and disks
// cannot be made to show on order.
import { DENIED } from '../../src/registry/routing/repository-policy.ts'
import { randomUUID } from 'node:crypto'
import type { Digest } from '../../src/oci/digest.ts'
import { createMemoryCatalog } from './memory/catalog.ts'
import { parseRepositoryKey, type RegistryHost, type Repository } from '../../src/oci/reference.ts'
import { BlobsInUse } from '../../src/registry/reading/blobs-in-use.ts'
import { StoredContent } from '../../src/registry/content/content.ts'
import type { BlobAnswer } from '../../src/registry/answers.ts'
import { createEpochs, type Epochs } from '../../src/registry/epochs.ts'
import type { Namespace, Namespaces } from '../../src/registry/routing/namespaces.ts'
import type { BlobStore } from '../../src/registry/ports/blob-store.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import type { FactStore } from '../../src/registry/ports/facts.ts'
import type { EngineEvent } from '../../src/registry/ports/events.ts'
import type { UpstreamBlob } from '../../src/registry/ports/upstream-content.ts'
import {
  type Upstream,
  UpstreamError,
  type UpstreamHealth,
} from '../../src/registry/ports/upstream.ts'
import { createRoute } from '../../src/registry/routing/route.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import {
  createPolicies,
  type RepositoryRule,
} from '../../src/registry/routing/repository-policies.ts'
import type { Pins } from '../../src/registry/pins/pins.ts'
import type { Stock } from '../../src/registry/facts/stock.ts'
import { limitsOf } from './storage-limits.ts'
import type { MemoryDisk } from './memory/disk.ts'
import { createMemoryFacts } from './memory/facts.ts'
import { createMemoryDisk, createMemoryStore } from './memory/store.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'

export const DOCKER_IO = 'docker.io' as RegistryHost
export const repositoryOf = (name: string): Repository => parseRepositoryKey(`docker.io/${name}`)
/** A repository that is kept at this edge alone. */
export const localOf = (name: string): Repository => parseRepositoryKey(`localhost/${name}`)

export interface EngineOptions {
  /** What is not given says not-found. */
  readonly upstream?: Partial<Upstream>
  readonly policy?: Partial<Namespace['policy']>
  readonly fillsAtOnce?: number
  /** Default false: what a test counts is what it asked for. */
  readonly prefetch?: boolean
  readonly connections?: number
  readonly maxStorageBytes?: number
  /** Further registries; what is not given of one is as for docker.io. */
  readonly beside?: readonly (Partial<Namespace> & Pick<Namespace, 'upstream'>)[]
  /**
   * Before the built-in rules: kept and deletable under `localhost`, denied elsewhere. What is not
   * given of a rule is its default.
   */
  readonly policies?: readonly (Partial<RepositoryRule> & Pick<RepositoryRule, 'match'>)[]
  /**
   * An engine that was stopped or forgotten: this one begins with what it left behind, as the next
   * process does.
   */
  readonly after?: LeftBehind
  /** Put between the engine and its store, catalog or facts. */
  readonly store?: (store: BlobStore) => BlobStore
  readonly catalog?: (catalog: Catalog) => Catalog
  readonly facts?: (facts: FactStore) => FactStore
  /** Default: nothing is pinned. */
  readonly pins?: Partial<
    Pick<Pins, 'find' | 'findWithListed' | 'findContent' | 'digests' | 'changes'>
  >
  /** Told of files that no row tells of. */
  readonly left?: () => void
  /** Default: that of the registry. */
  readonly graceMs?: () => number
  /** Told of each push into a queue. */
  readonly queued?: () => void
  /** Default: facts may say more than the catalog, and nobody looks for that. */
  readonly stock?: Stock
}

export interface LeftBehind {
  readonly disk: MemoryDisk
  readonly catalog: Catalog
  readonly clock: ManualClock
  /** Those that the catalog bumps. */
  readonly epochs?: Epochs
}

/** What a namespace is but for its upstream, where a test says nothing else. */
export const NAMESPACE: Omit<Namespace, 'upstream' | 'policy'> = {
  fillsAtOnce: 8,
  prefetch: false,
  connections: 16,
  namedByClient: false,
  shares: true,
}

export type Engine = ReturnType<typeof createEngine>

export function createEngine(options: EngineOptions = {}) {
  const { after } = options
  const disk = after?.disk ?? createMemoryDisk()
  const clock = after?.clock ?? createManualClock()
  const events: EngineEvent[] = []
  const epochs = after?.epochs ?? createEpochs()
  const catalog =
    after?.catalog ?? (options.catalog ?? (same => same))(createMemoryCatalog({ epochs }))
  const known = (digest: Digest) => catalog.findContent(digest)
  const store = (options.store ?? (same => same))(createMemoryStore(disk, { clock, known }))
  const facts = (options.facts ?? (same => same))(
    createMemoryFacts(disk, { catalog: catalog.identity }),
  )
  const { left } = options
  const content = new StoredContent({ store, catalog, ...(left && { left }) })
  const inUse = new BlobsInUse()
  const namespace: Namespace = {
    ...NAMESPACE,
    upstream: upstreamOf(options.upstream ?? {}),
    policy: {
      ttlMs: 300_000,
      tagRules: [],
      maxStaleMs: Infinity,
      offline: false,
      ...options.policy,
    },
    fillsAtOnce: options.fillsAtOnce ?? NAMESPACE.fillsAtOnce,
    prefetch: options.prefetch ?? NAMESPACE.prefetch,
    connections: options.connections ?? NAMESPACE.connections,
  }
  const beside = new Map(
    options.beside?.map(each => [each.upstream.registry, { ...namespace, ...each }]),
  )
  const namespaces: Namespaces = {
    find: host => (host === DOCKER_IO ? namespace : beside.get(host)),
    list: () => [namespace, ...beside.values()],
    allShare: [...beside.values()].every(({ shares }) => shares),
  }
  const registry = createRegistry({
    store,
    catalog,
    content,
    inUse,
    epochs,
    facts,
    clock,
    note: event => events.push(event),
    namespaces,
    policies: createPolicies(
      [...(options.policies ?? []), { match: 'localhost/**', push: 'store' as const }].map(ruleOf),
    ),
    route: createRoute({
      defaultRegistry: DOCKER_IO,
      upstreams: new Set([DOCKER_IO]),
      aliases: new Map(),
      ownNames: new Set(),
      virtualHosts: new Map(),
      anyUpstream: false,
    }),
    newUploadId: () => randomUUID(),
    storageLimits: () => limitsOf(options.maxStorageBytes),
    pins: {
      find: async () => undefined,
      findWithListed: async () => undefined,
      findContent: () => undefined,
      digests: () => new Set(),
      changes: 0,
      ...options.pins,
    },
    ...(options.queued === undefined ? {} : { queued: options.queued }),
    ...(options.stock === undefined ? {} : { stock: options.stock }),
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
  })
  return {
    registry,
    store,
    content,
    inUse,
    disk,
    catalog,
    epochs,
    facts,
    clock,
    events,
    namespace,
    namespaces,
  }
}

export function ruleOf(
  rule: Partial<RepositoryRule> & Pick<RepositoryRule, 'match'>,
): RepositoryRule {
  const { isImmutable: _, ...denied } = DENIED
  return { ...denied, immutable: [], deletable: undefined, ...rule }
}

/** Of an upstream of which there is nothing to tell. */
export const HEALTHY: UpstreamHealth = {
  registry: DOCKER_IO,
  breaker: 'closed',
  retryAtMs: undefined,
  lastFailure: undefined,
  lastFinding: undefined,
  credentials: undefined,
  rateLimitRemaining: undefined,
}

export function upstreamOf(given: Partial<Upstream>): Upstream {
  const missing = async (): Promise<never> => {
    throw new UpstreamError('not-found', 'this upstream has nothing')
  }
  return {
    registry: DOCKER_IO,
    headManifest: missing,
    getManifest: missing,
    headBlob: missing,
    getBlob: missing,
    listTags: missing,
    listReferrers: missing,
    mountBlob: missing,
    pushBlob: missing,
    streamBlob: missing,
    putManifest: missing,
    hasMirrors: false,
    distrust: () => false,
    letNextThrough: () => {},
    forgetTokens: () => {},
    health: () => HEALTHY,
    ...given,
  }
}

/** `mirror` is asked in place of `upstream`, but for what is asked of the registry alone. */
export function behindMirror(
  upstream: Upstream,
  mirror: Pick<Upstream, 'headManifest' | 'headBlob'>,
): Upstream {
  return {
    ...upstream,
    hasMirrors: true,
    headManifest: (name, reference, options) => {
      const asked = options?.endpoints === 'registry' ? upstream : mirror
      return asked.headManifest(name, reference, options)
    },
    headBlob: (name, digest, options) => {
      const asked = options?.endpoints === 'registry' ? upstream : mirror
      return asked.headBlob(name, digest, options)
    },
  }
}

/** An upstream's answer with these pieces; `wait` holds back each piece after the first. */
export function blobAnswer(
  pieces: readonly Uint8Array[],
  head: Partial<UpstreamBlob> = {},
  wait: () => Promise<void> = async () => {},
): UpstreamBlob {
  const totalBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  async function* body() {
    for (const [at, piece] of pieces.entries()) {
      if (at > 0) await wait()
      // Fresh ones: the reader gives their memory back.
      yield Uint8Array.from(piece)
    }
  }
  return { offset: 0, totalBytes, validator: undefined, body: body(), ...head }
}

/** All of it from `first` on, closed. */
export async function readAll(answer: BlobAnswer, first = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  try {
    if (answer.sizeBytes > 0) {
      const range = { first, last: answer.sizeBytes - 1 }
      for await (const chunk of answer.read(range, new AbortController().signal)) chunks.push(chunk)
    }
  } finally {
    await answer.close()
  }
  return Buffer.concat(chunks)
}

/** What a promise was rejected with; fails the test when it was not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => Promise.reject(new Error('this should have been refused')),
    (error: unknown) => error,
  )
}
