// A cache that is full of images, over the real catalog and the in-memory store, with what evicts
// from it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Haste } from '../../../src/async/haste.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { parseRepositoryKey, type RegistryHost, type Tag } from '../../../src/oci/reference.ts'
import { BlobsInUse } from '../../../src/registry/reading/blobs-in-use.ts'
import { StoredContent } from '../../../src/registry/content/content.ts'
import { asRecorded } from '../../../src/registry/content/edges.ts'
import { Evictor } from '../../../src/registry/evict/evictor.ts'
import { createQuotas, type Quotas } from '../../../src/registry/evict/quotas.ts'
import type { PinnedImages } from '../../../src/registry/evict/judge.ts'
import type { Gone } from '../../../src/registry/job.ts'
import { Leaving } from '../../../src/registry/leave/leaving.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'
import { createPolicies } from '../../../src/registry/routing/repository-policies.ts'
import { shareNow } from '../../../src/registry/routing/sharing.ts'
import type { Quota } from '../../../src/registry/routing/quota.ts'
import { openCatalog } from '../open-catalog.ts'
import { DOCKER_IO, ruleOf, upstreamOf } from '../engine.ts'
import type { Image } from '../image.ts'
import { createMemoryDisk, createMemoryStore } from '../memory/store.ts'

export const HOUR_MS = 3_600_000
/** Does not share with any other. */
export const STRANGER = 'made-up.example' as RegistryHost

export interface EvictionOptions {
  /** Registries whose upstreams do not answer. */
  readonly away?: readonly string[]
  readonly pinned?: PinnedImages
  readonly quotas?: Readonly<Record<string, Quota>>
  readonly rules?: readonly { readonly match: string; readonly quota: Quota }[]
  /** In place of the two above. */
  readonly quotasNow?: () => Quotas
  readonly maxBytes?: number
  readonly usesWritten?: () => Promise<void>
  readonly catalog?: (catalog: Catalog) => Catalog
  readonly store?: (store: BlobStore) => BlobStore
}

export interface Pulled {
  readonly agoMs?: number | undefined
  readonly tag?: string | undefined
  /** By a registry that does not share. */
  readonly apart?: boolean | undefined
}

export type EvictionWorld = Awaited<ReturnType<typeof openEvictionWorld>>

export async function openEvictionWorld(t: Test, options: EvictionOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-evict-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const opened = await openCatalog(t, directory)
  const { clock } = opened
  const catalog = (options.catalog ?? (same => same))(opened.catalog)
  const events: EngineEvent[] = []
  const note = (event: EngineEvent) => void events.push(event)
  const disk = createMemoryDisk()
  const store = (options.store ?? (same => same))(
    createMemoryStore(disk, { clock, known: digest => catalog.findContent(digest) }),
  )
  const content = new StoredContent({ store, catalog })
  const haste = new Haste()
  const leaving = new Leaving({ content, catalog, clock, note, haste, closeOpen: () => {} })
  const inUse = new BlobsInUse()
  const namespaces = { list: () => namespacesOf(options.away ?? []) }
  const policies = createPolicies((options.rules ?? []).map(ruleOf))
  const quotas = createQuotas({
    ofUpstreams: new Map(Object.entries(options.quotas ?? {}) as [RegistryHost, Quota][]),
    ofRules: (options.rules ?? []).map(({ quota }) => quota),
    policies,
  })
  const evictor = new Evictor({
    catalog,
    clock,
    note,
    leaving,
    haste,
    namespaces,
    pins: options.pinned,
    uploadsBytes: () => 0,
    usesWritten: options.usesWritten ?? (async () => {}),
    filling: registry => inUse.filling(from => shareNow(namespaces, from, registry)),
    isInUse: digest => inUse.has(digest),
    quotas: options.quotasNow ?? (() => quotas),
    maxBytes: async () => options.maxBytes ?? 0,
  })

  async function blob(key: string, bytes: Buffer, digest: Digest, agoMs: number): Promise<void> {
    const file = await store.openFill(digest)
    await file.append(bytes)
    file.verify(bytes.length)
    const repository = parseRepositoryKey(key)
    const atMs = clock.nowMs() - agoMs
    await content.publish(file, { repository, digest, atMs, hold: 'nothing' })
  }

  /** As if it had been pulled so long ago, once, by this tag. */
  async function pulled(key: string, image: Image, pull: Pulled = {}) {
    const { agoMs = 24 * HOUR_MS, apart } = pull
    for (const child of image.children) await pulled(key, child, { agoMs, apart })
    await given(key, image.manifest, pull)
    if (image.children.length > 0) return
    for (const each of [image.config, ...image.layers])
      if (apart === true || (await store.find(each.digest)) === undefined)
        await blob(key, each.bytes(), each.digest, agoMs)
  }

  /** The manifest alone. */
  async function given(key: string, manifest: Image['manifest'], pull: Pulled = {}) {
    const { agoMs = 24 * HOUR_MS, tag = '', apart = false } = pull
    const repository = parseRepositoryKey(key)
    const { digest, bytes, mediaType } = manifest
    const recorded = asRecorded(parseManifest(bytes, mediaType), digest, bytes.length)
    const atMs = clock.nowMs() - agoMs
    await content.putManifest(digest, bytes, () => {
      const record = { repository, manifest: recorded, atMs, apart }
      return { ...record, ...(tag === '' ? {} : { tag: tag as Tag }) }
    })
  }

  return {
    clock,
    catalog,
    store,
    disk,
    inUse,
    evictor,
    haste,
    events,
    blob,
    pulled,
    given,
    leaving,
    /** As a stop does, once nobody needs it. */
    closeCatalog: () => opened.catalog.close(),
    /** What is told of it, and how much became free. */
    evict: async (bytes: number, of?: string) => {
      const gone: Gone[] = []
      const { signal } = new AbortController()
      const freedBytes = await evictor.evict(bytes, {
        signal,
        told: each => gone.push(each),
        ...(of === undefined ? {} : { of: parseRepositoryKey(of) }),
      })
      return { freedBytes, gone }
    },
    trimmed: async (bytes: number) => {
      const gone: Gone[] = []
      const { signal } = new AbortController()
      await evictor.trim(bytes, { signal, told: each => gone.push(each) })
      return gone
    },
    foretold: async (bytes: number) => {
      const gone: Gone[] = []
      const { signal } = new AbortController()
      await evictor.foretell(bytes, { signal, told: each => gone.push(each) })
      return gone
    },
  }
}

function namespacesOf(away: readonly string[]) {
  return [DOCKER_IO, ...away].map(host => ({
    policy: { ttlMs: 0, tagRules: [], maxStaleMs: 0, offline: false },
    upstream: {
      ...upstreamOf({}),
      registry: host as RegistryHost,
      health: () => ({
        registry: host as RegistryHost,
        breaker: away.includes(host) ? ('open' as const) : ('closed' as const),
        retryAtMs: undefined,
        lastFailure: undefined,
        lastFinding: undefined,
        credentials: undefined,
        rateLimitRemaining: undefined,
      }),
    },
    fillsAtOnce: 1,
    prefetch: false,
    connections: 1,
    namedByClient: host === STRANGER,
    shares: host !== STRANGER,
  }))
}

export const nameOf = (key: string, { manifest: { digest } }: Image, tag?: string): string =>
  `${key}${tag === undefined ? '' : `:${tag}`}@${digest}`
