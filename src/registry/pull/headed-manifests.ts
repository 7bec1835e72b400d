// What a HEAD told a client of and this edge does not have. A client that holds the image already,
// under another registry's name even, asks no more than that; the next one, while the upstream is
// away, would find nothing under that name. So the manifest is fetched when nobody waits for it,
// and with an index the child that this client runs, and those whose bytes are here under another
// name (R291). Blobs are not: whoever has no use for the manifest has none for them.
import { boundedCache } from '../../async/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { ManifestContents } from './manifest-content.ts'
import type { Namespace, Namespaces } from '../routing/namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { imageKey, mayFetchHeaded } from './prefetch-rules.ts'
import { isShared } from '../routing/sharing.ts'

/**
 * Manifests of one client in a row: as many images as a machine runs. A scanner that asks for ten
 * thousand tags costs no more.
 */
const CLIENT_MANIFESTS_MAX = 50
/** And one more each time this has passed. */
const CLIENT_AGAIN_MS = 60_000
/** Clients whose manifests are counted; who is forgotten begins anew. */
const CLIENTS_MAX = 10_000
/** Nobody waits for them. */
const AT_ONCE = 2
/** More are left: the next HEAD tells of them again. */
const WAITING_MAX = 256
/**
 * Children of one index that are looked for on disk, and brought because they are there: as many
 * platforms as one site runs.
 */
const LOOKED_FOR_MAX = 32
const KNOWN_CHILDREN_MAX = 4

export interface Headed {
  readonly repository: Repository
  readonly namespace: Namespace
  readonly digest: Digest
  /** Tells clients apart. */
  readonly client: string
}

export interface HeadedManifestsDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly contents: ManifestContents
  /** The child of this index that the client will most likely run; undefined when nothing tells. */
  readonly expected: (headed: Headed, index: RecordedManifest) => Edge | undefined
}

export class HeadedManifests {
  readonly #deps: HeadedManifestsDeps
  /** In the order of their coming. */
  readonly #waiting = new Map<string, Headed>()
  readonly #running = new Set<string>()
  readonly #counts = boundedCache<{ left: number; sinceMs: number }>(CLIENTS_MAX)
  #isStopped = false

  constructor(deps: HeadedManifestsDeps) {
    this.#deps = deps
  }

  /**
   * Returns at once and never throws. No effect for what is on its way, and where nothing may be
   * fetched that nobody waits for.
   */
  add(headed: Headed): void {
    const key = imageKey(headed.repository, headed.digest)
    if (this.#waiting.has(key) || this.#running.has(key)) return
    if (this.#waiting.size >= WAITING_MAX || !this.#may(headed)) return
    this.#waiting.set(key, headed)
    if (this.#running.size < AT_ONCE) void this.#run()
  }

  /** Begins nothing any more. */
  stop(): void {
    this.#isStopped = true
  }

  async #run(): Promise<void> {
    for (const [key, headed] of this.#waiting) {
      this.#waiting.delete(key)
      this.#running.add(key)
      try {
        await this.#fetchImage(headed)
      } catch {
        // Whoever asks for it is told.
      } finally {
        this.#running.delete(key)
      }
    }
  }

  async #fetchImage(headed: Headed): Promise<void> {
    const manifest = await this.#manifest(headed)
    if (manifest === undefined) return
    const expected = this.#deps.expected(headed, manifest)?.child
    const children = new Set(await this.#knownElsewhere(headed, manifest))
    if (expected !== undefined) children.add(expected)
    for (const child of children) await this.#manifest({ ...headed, digest: child })
  }

  /**
   * Children whose bytes came under another name: somebody here runs them, and only this
   * repository's word for them is missing. Not by way of registries that do not share (R252): who
   * is asked for such a child learns that it is here.
   */
  async #knownElsewhere(
    { repository: { registry } }: Headed,
    { edges }: RecordedManifest,
  ): Promise<readonly Digest[]> {
    const known: Digest[] = []
    for (const { kind, child } of edges.slice(0, LOOKED_FOR_MAX)) {
      if (kind !== 'manifest' || known.length === KNOWN_CHILDREN_MAX) continue
      if ((await this.#deps.store.find(child)) === undefined) continue
      if (await isShared(this.#deps, registry, child)) known.push(child)
    }
    return known
  }

  /** What is here, or comes now. Undefined when it may not. @throws UpstreamError, StoreError */
  async #manifest(headed: Headed): Promise<RecordedManifest | undefined> {
    const { catalog, store, contents } = this.#deps
    const { repository, namespace, digest } = headed
    const recorded = await catalog.findManifest(repository, digest)
    if (recorded !== undefined && (await store.find(digest)) !== undefined) return recorded
    if (!this.#may(headed) || !this.#count(headed)) return undefined
    return (await contents.get(repository, digest, { namespace })).content.recorded
  }

  #may({ namespace }: Headed): boolean {
    return !this.#isStopped && mayFetchHeaded(namespace)
  }

  /** May one more be fetched for this client? */
  #count({ client }: Headed): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    const count = this.#counts.get(client) ?? { left: CLIENT_MANIFESTS_MAX, sinceMs: nowMs }
    const again = Math.floor((nowMs - count.sinceMs) / CLIENT_AGAIN_MS)
    const left = Math.min(CLIENT_MANIFESTS_MAX, count.left + again)
    const sinceMs = left === CLIENT_MANIFESTS_MAX ? nowMs : count.sinceMs + again * CLIENT_AGAIN_MS
    this.#counts.set(client, { left: Math.max(0, left - 1), sinceMs })
    return left > 0
  }
}
