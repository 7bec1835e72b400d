// The images that are fetched ahead now: of each what is still to be fetched, what was begun, and
// what became of it; and the table of them, by themselves and by their blobs. Bounded: what does
// not fit is not fetched ahead. Nothing is begun here; prefetch.ts does.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { isBlob } from '../content/edges.ts'
import type { Fill } from '../fill/fill.ts'
import type { Namespace } from '../routing/namespaces.ts'
import { imageKey } from './prefetch-rules.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'

/** Of one image: more layers than any builder makes, and few enough for the memory. */
const BLOBS_MAX = 256
/**
 * More than this do not come for one image in the time of a pull; who is not remembered only counts
 * as nobody's sibling.
 */
const CLIENTS_MAX = 1_000
/**
 * Configs and layers up to this come first: they are there before a large one has shown its speed.
 */
const SMALL_BYTES = 1024 * 1024

export interface ImageServed {
  readonly repository: Repository
  readonly namespace: Namespace
  readonly manifest: RecordedManifest
  /** The index that lists it, when that was given before. */
  readonly index: Digest | undefined
}

export class ImagePrefetch {
  readonly repository: Repository
  readonly namespace: Namespace
  readonly digest: Digest
  readonly index: Digest | undefined
  readonly blobs: readonly Edge[]
  /** Who was given the manifest; the first of them. */
  readonly clients = new Set<string>()
  /** Begun before anybody asked for them. */
  readonly begun = new Map<Digest, Fill>()
  /** Still to be begun, in this order. */
  pending: readonly Edge[] = []
  isStarted = false
  /** Has anybody asked for a blob of it? Then it is pulled, and not only looked at. */
  isPulled = false
  isEnded = false
  /** Answers with blobs of it that are being read now. */
  readers = 0
  /** Monotonic, of the last sign that somebody pulls it; of the manifest to begin with. */
  lastSignMs: number

  constructor({ repository, namespace, manifest, index }: ImageServed, nowMs: number) {
    this.repository = repository
    this.namespace = namespace
    this.digest = manifest.digest
    this.index = index
    this.blobs = inOrder(manifest.edges)
    this.lastSignMs = nowMs
  }

  get key(): string {
    return imageKey(this.repository, this.digest)
  }

  givenTo(client: string): void {
    if (this.clients.size < CLIENTS_MAX) this.clients.add(client)
  }

  start(): void {
    this.isStarted = true
    this.pending = this.blobs
  }

  drop(digest: Digest): void {
    if (this.pending.length > 0) this.pending = this.pending.filter(({ child }) => child !== digest)
  }

  /** Its place was needed for somebody: it comes again, before the others. */
  putBack(digest: Digest): void {
    this.begun.delete(digest)
    this.pending = [...this.blobs.filter(({ child }) => child === digest), ...this.pending]
  }
}

/** The small ones, then the others, each as the manifest lists them. */
function inOrder(edges: readonly Edge[]): readonly Edge[] {
  const byDigest = new Map<Digest, Edge>()
  for (const edge of edges) {
    if (isBlob(edge) && !byDigest.has(edge.child)) byDigest.set(edge.child, edge)
  }
  const blobs = [...byDigest.values()].slice(0, BLOBS_MAX)
  const isSmall = ({ sizeBytes }: Edge) => sizeBytes <= SMALL_BYTES
  return [...blobs.filter(isSmall), ...blobs.filter(edge => !isSmall(edge))]
}

/**
 * At once; with their blobs some MiB at the very most. A site that pulls more than this at once has
 * no places to spare.
 */
const IMAGES_MAX = 256

export class PrefetchTable {
  readonly #images = new Map<string, ImagePrefetch>()
  readonly #byBlob = new Map<Digest, Set<ImagePrefetch>>()

  find(key: string): ImagePrefetch | undefined {
    return this.#images.get(key)
  }

  /** False when there is no room for it. */
  add(image: ImagePrefetch): boolean {
    if (this.#images.size >= IMAGES_MAX) return false
    this.#images.set(image.key, image)
    for (const { child } of image.blobs) {
      const images = this.#byBlob.get(child)
      if (images === undefined) this.#byBlob.set(child, new Set([image]))
      else images.add(image)
    }
    return true
  }

  /**
   * The one that has been here the longest of those that nothing is begun of before somebody asks
   * for a blob.
   */
  oldestIdle(): ImagePrefetch | undefined {
    return [...this.#images.values()].find(image => !image.isStarted)
  }

  delete(image: ImagePrefetch): void {
    this.#images.delete(image.key)
    for (const { child } of image.blobs) {
      const images = this.#byBlob.get(child)
      images?.delete(image)
      if (images?.size === 0) this.#byBlob.delete(child)
    }
  }

  /** As they are now; undefined when there are none. */
  withBlob(repository: Repository, digest: Digest): readonly ImagePrefetch[] | undefined {
    const key = repositoryKey(repository)
    const images = [...(this.#byBlob.get(digest) ?? [])]
    const ofRepository = images.filter(image => repositoryKey(image.repository) === key)
    return ofRepository.length === 0 ? undefined : ofRepository
  }

  /**
   * An image that counts on this blob being fetched, in whatever repository: the bytes are the
   * same.
   */
  wanting(digest: Digest): ImagePrefetch | undefined {
    return [...(this.#byBlob.get(digest) ?? [])].find(image => image.isStarted)
  }

  /** Other children of the same index that were given to one of the same clients. */
  siblings({ index, repository, key, clients }: ImagePrefetch): readonly ImagePrefetch[] {
    if (index === undefined) return []
    return [...this.#images.values()].filter(
      other =>
        other.index === index &&
        other.key !== key &&
        repositoryKey(other.repository) === repositoryKey(repository) &&
        [...clients].some(client => other.clients.has(client)),
    )
  }

  /**
   * Those with something still to be begun: the ones that are pulled before those that may be, each
   * in the order of their coming.
   */
  inOrder(): readonly ImagePrefetch[] {
    const unfinished = [...this.#images.values()].filter(image => image.pending.length > 0)
    return [
      ...unfinished.filter(image => image.isPulled),
      ...unfinished.filter(image => !image.isPulled),
    ]
  }
}
