// The registry room alone: the real engine over the in-memory twins of store and catalog, with an upstream that a test writes as
// functions. For races and failures that real sockets and disks cannot be made to show on order.
import { createMemoryCatalog } from '../../src/catalog/memory.ts'
import { parseRepositoryKey, type RegistryHost, type Repository } from '../../src/oci/reference.ts'
import type { BlobAnswer } from '../../src/registry/answers.ts'
import type { Namespace } from '../../src/registry/namespaces.ts'
import type { BlobStore } from '../../src/registry/ports/blob-store.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import type { EngineEvent } from '../../src/registry/ports/events.ts'
import {
  type Upstream,
  type UpstreamBlob,
  UpstreamError,
} from '../../src/registry/ports/upstream.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import { createMemoryDisk, createMemoryStore } from '../../src/store/memory.ts'
import { createManualClock } from './manual-clock.ts'

export const DOCKER_IO = 'docker.io' as RegistryHost
export const repositoryOf = (name: string): Repository => parseRepositoryKey(`docker.io/${name}`)

export interface EngineOptions {
  /** What is not given says not-found. */
  readonly upstream?: Partial<Upstream>
  readonly policy?: Partial<Namespace['policy']>
  readonly fillsAtOnce?: number
  readonly maxStorageBytes?: number
  /** Put between the engine and its store or catalog. */
  readonly store?: (store: BlobStore) => BlobStore
  readonly catalog?: (catalog: Catalog) => Catalog
}

export function createEngine(options: EngineOptions = {}) {
  const disk = createMemoryDisk()
  const clock = createManualClock()
  const events: EngineEvent[] = []
  const store = (options.store ?? (same => same))(createMemoryStore(disk))
  const catalog = (options.catalog ?? (same => same))(createMemoryCatalog())
  const namespace: Namespace = {
    upstream: upstreamOf(options.upstream ?? {}),
    policy: {
      ttlMs: 300_000,
      tagRules: [],
      maxStaleMs: Infinity,
      offline: false,
      ...options.policy,
    },
    fillsAtOnce: options.fillsAtOnce ?? 8,
  }
  const registry = createRegistry({
    store,
    catalog,
    clock,
    note: event => events.push(event),
    namespaces: {
      find: registry => (registry === DOCKER_IO ? namespace : undefined),
      list: () => [namespace],
    },
    route: () => {
      throw new Error('no names are routed here')
    },
    maxStorageBytes: options.maxStorageBytes ?? Number.POSITIVE_INFINITY,
  })
  return { registry, store, disk, catalog, clock, events, namespace }
}

function upstreamOf(given: Partial<Upstream>): Upstream {
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
    health: () => {
      throw new Error('nobody asks for health here')
    },
    ...given,
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
      yield piece
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
