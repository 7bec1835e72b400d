// One image whose manifest was given to somebody: what of it is still to be fetched ahead, what was
// begun, and what became of it. It begins nothing by itself; prefetch.ts does.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Fill } from '../fill/fill.ts'
import type { Namespace } from '../namespaces.ts'
import type { Edge, ManifestFact } from '../ports/catalog-content.ts'

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
  readonly manifest: ManifestFact
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

export function imageKey(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)}@${digest}`
}

/** The small ones, then the others, each as the manifest lists them. */
function inOrder(edges: readonly Edge[]): readonly Edge[] {
  const byDigest = new Map<Digest, Edge>()
  for (const edge of edges) {
    const isBlob = edge.kind === 'config' || edge.kind === 'layer'
    if (isBlob && edge.distributable && !byDigest.has(edge.child)) byDigest.set(edge.child, edge)
  }
  const blobs = [...byDigest.values()].slice(0, BLOBS_MAX)
  const isSmall = ({ sizeBytes }: Edge) => sizeBytes <= SMALL_BYTES
  return [...blobs.filter(isSmall), ...blobs.filter(edge => !isSmall(edge))]
}
