// An edge that evicts blobs one by one, the least recently used first, as caches do that know
// nothing of images: a blob that clients have already is never asked for, and leaves.
import type { Edge, Outcome } from './edge.ts'
import type { Registry } from './registry.ts'
import { type Pull, bytesOf } from './trace.ts'

export interface BlobEdgeOptions {
  readonly limitBytes: number
  /** With an image's manifest all of its blobs are fetched; else those that are asked for. */
  readonly prefetch: boolean
}

export class BlobEdge implements Edge {
  readonly #registry: Registry
  readonly #options: BlobEdgeOptions
  /** Least recently used first. */
  readonly #here = new Set<number>()
  /** Manifests of images of which all was here once since they came. */
  readonly #wasWhole = new Set<number>()
  #usedBytes = 0

  constructor(registry: Registry, options: BlobEdgeOptions) {
    this.#registry = registry
    this.#options = options
  }

  pull({ image: number, asked }: Pull): Outcome {
    const image = this.#registry.images[number]
    if (image === undefined) throw new RangeError(`there is no image ${number}`)
    const whole = this.#missing(image.blobs).length === 0
    const half = !whole && this.#wasWhole.has(image.manifest)
    const waitedFor = this.#missing(asked)
    const wanted = asked.length > 0 && this.#options.prefetch ? image.blobs : asked
    const fetched = this.#missing(wanted)
    const fetchedBytes = bytesOf(this.#registry, fetched)
    for (const blob of [image.manifest, ...asked]) if (this.#here.delete(blob)) this.#here.add(blob)
    for (const blob of fetched) this.#here.add(blob)
    this.#usedBytes += fetchedBytes
    if (this.#missing(image.blobs).length === 0) this.#wasWhole.add(image.manifest)
    this.#evict()
    const upstream = this.#registry.upstreams[image.upstream]
    const waitedSeconds =
      waitedFor.length === 0 || upstream === undefined
        ? 0
        : upstream.delaySeconds + bytesOf(this.#registry, waitedFor) / upstream.bytesPerSecond
    const missed = waitedFor.length > 0
    return { fetchedBytes, missed, waitedSeconds, whole, half, failed: false }
  }

  #evict(): void {
    for (const blob of this.#here) {
      if (this.#usedBytes <= this.#options.limitBytes) return
      this.#here.delete(blob)
      this.#wasWhole.delete(blob)
      this.#usedBytes -= this.#registry.sizes[blob] ?? 0
    }
  }

  #missing(blobs: readonly number[]): readonly number[] {
    return blobs.filter(blob => !this.#here.has(blob))
  }
}
