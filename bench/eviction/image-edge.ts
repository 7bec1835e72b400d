// An edge that evicts whole images: blobs that several list go with the last of them. Room is made
// before the first byte comes, and by how much is a share of the limit. What a pull needs is held.
import { performance } from 'node:perf_hooks'
import type { Edge, Outcome } from './edge.ts'
import type { Policy, PolicyKind, View } from './policies/policy.ts'
import type { Image, Registry } from './registry.ts'
import { type Pull, bytesOf } from './trace.ts'

export interface ImageEdgeOptions {
  readonly limitBytes: number
  readonly policy: PolicyKind
  /** Down to this share of the limit, when there is no room. */
  readonly lowWaterShare: number
  /**
   * Images whose tag has gone on: they leave in their turn; or before the current image of their
   * own tag; or before the current ones of all tags; or so unless they are used again, where the
   * order can tell.
   */
  readonly previous: 'in turn' | 'before their own' | 'before all' | 'unless used since'
  /** With an image's manifest all of its blobs are fetched; else those that are asked for. */
  readonly prefetch: boolean
  /** Uses of an image that are closer together are told the policy once. */
  readonly apartMs: number
  /** The edge starts again so often. */
  readonly restartsEveryMs: number
  readonly outage?: Outage
}

export interface Outage {
  readonly upstream: number
  readonly fromMs: number
  readonly untilMs: number
  /** What came from it leaves after everything else. */
  readonly itsImagesLast: boolean
}

export const USUAL: Omit<ImageEdgeOptions, 'limitBytes' | 'policy'> = {
  lowWaterShare: 1,
  previous: 'in turn',
  prefetch: true,
  apartMs: 0,
  restartsEveryMs: Number.POSITIVE_INFINITY,
}

export class ImageEdge implements Edge, View {
  readonly limitBytes: number
  readonly #registry: Registry
  readonly #options: ImageEdgeOptions
  #policy: Policy
  #usedBytes = 0
  /** Present images, by tag. */
  readonly #present = new Map<number, Set<number>>()
  readonly #isPresent: Uint8Array
  /** How many present images list a blob, and whether its bytes are here. */
  readonly #lists: Int32Array
  readonly #isHere: Uint8Array
  /** Since it came, all of it was here once. */
  readonly #wasWhole: Uint8Array
  readonly #lastUsedMs: Float64Array
  readonly #toldMs: Float64Array
  /** By tag, as far as clients asked by it. */
  readonly #current = new Map<number, number>()
  #pulled = -1
  #startedMs = 0
  evictions = 0
  batches = 0
  decisionMs = 0
  /** The largest so far. */
  stateBytes = 0
  imagesMost = 0
  #images = 0

  constructor(registry: Registry, options: ImageEdgeOptions) {
    const [images, blobs] = [registry.images.length, registry.sizes.length]
    this.#registry = registry
    this.#options = options
    this.limitBytes = options.limitBytes
    this.#isPresent = new Uint8Array(images)
    this.#lists = new Int32Array(blobs)
    this.#isHere = new Uint8Array(blobs)
    this.#wasWhole = new Uint8Array(images)
    this.#lastUsedMs = new Float64Array(images)
    this.#toldMs = new Float64Array(images).fill(Number.NEGATIVE_INFINITY)
    this.#policy = options.policy.open(this)
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  isPresent(image: number): boolean {
    return this.#isPresent[image] === 1
  }

  freedBytes(image: number): number {
    let bytes = 0
    for (const blob of this.#image(image).blobs)
      if (this.#lists[blob] === 1 && this.#isHere[blob] === 1) bytes += this.#size(blob)
    return bytes
  }

  refetchSeconds(image: number): number {
    return this.#seconds(image, this.freedBytes(image))
  }

  pull(pull: Pull): Outcome {
    this.#restart(pull.atMs)
    const { image, atMs, asked } = pull
    const { blobs, tag } = this.#image(image)
    if (pull.byTag) this.#point(tag, image)
    const wasPresent = this.isPresent(image)
    const whole = wasPresent && this.#missing(blobs).length === 0
    const half = wasPresent && !whole && this.#wasWhole[image] === 1
    const waitedFor = this.#missing(asked)
    const failed = waitedFor.length > 0 && this.#isAway(image, atMs)
    const missed = waitedFor.length > 0
    let fetchedBytes = 0
    if (asked.length > 0 && !failed) fetchedBytes = this.#fill(pull)
    if (wasPresent) this.#use(image, atMs)
    const waitedSeconds = missed ? this.#seconds(image, bytesOf(this.#registry, waitedFor)) : 0
    return { fetchedBytes, missed, waitedSeconds, whole, half, failed }
  }

  #fill({ image, atMs, asked }: Pull): number {
    const { blobs } = this.#image(image)
    const wanted = this.#missing(this.#options.prefetch ? blobs : asked)
    if (wanted.length === 0 && this.isPresent(image)) return 0
    const bytes = bytesOf(this.#registry, wanted)
    const comes = !this.isPresent(image)
    if (bytesOf(this.#registry, blobs) > this.limitBytes)
      return bytesOf(this.#registry, this.#missing(asked))
    if (comes) this.#appear(image)
    this.#pulled = image
    this.#makeRoom(bytes, atMs)
    this.#pulled = -1
    for (const blob of wanted) this.#isHere[blob] = 1
    this.#usedBytes += bytes
    if (this.#missing(blobs).length === 0) this.#wasWhole[image] = 1
    if (comes) {
      this.#policy.came(image, atMs, bytes)
      this.#lastUsedMs[image] = this.#toldMs[image] = atMs
    }
    return bytes
  }

  #makeRoom(bytes: number, atMs: number): void {
    if (this.#usedBytes + bytes <= this.limitBytes) return
    this.stateBytes = Math.max(this.stateBytes, this.#policy.stateBytes())
    this.batches++
    const goal = Math.max(0, this.limitBytes * this.#options.lowWaterShare - bytes)
    while (this.#usedBytes > goal) {
      const startMs = performance.now()
      const next = this.#next(atMs)
      if (next === undefined) return
      this.#disappear(next)
      this.decisionMs += performance.now() - startMs
      this.evictions++
    }
  }

  #next(atMs: number): number | undefined {
    const { outage, previous } = this.#options
    const mayLeave = (image: number) => image !== this.#pulled
    const isLast = (image: number) => outage?.itsImagesLast === true && this.#isAway(image, atMs)
    const first = (passes: (image: number) => boolean) =>
      this.#policy.next(image => mayLeave(image) && passes(image))
    const next =
      (previous === 'before all'
        ? first(image => this.#isPrevious(image) && !isLast(image))
        : undefined) ??
      first(image => !isLast(image)) ??
      first(() => true)
    if (next === undefined || previous !== 'before their own' || this.#isPrevious(next)) return next
    const older = [...(this.#present.get(this.#image(next).tag) ?? [])].filter(
      image => mayLeave(image) && this.#isPrevious(image),
    )
    return older.length > 0 ? Math.min(...older) : next
  }

  #isPrevious(image: number): boolean {
    return (this.#current.get(this.#image(image).tag) ?? image) !== image
  }

  #point(tag: number, image: number): void {
    const before = this.#current.get(tag)
    if (before === image) return
    this.#current.set(tag, image)
    if (before !== undefined && this.#options.previous === 'unless used since')
      this.#policy.cool?.(before)
  }

  #use(image: number, atMs: number): void {
    this.#lastUsedMs[image] = atMs
    if (atMs - (this.#toldMs[image] ?? 0) < this.#options.apartMs) return
    this.#toldMs[image] = atMs
    this.#policy.used(image, atMs)
  }

  #appear(image: number): void {
    const { blobs, tag } = this.#image(image)
    this.#isPresent[image] = 1
    this.imagesMost = Math.max(this.imagesMost, ++this.#images)
    for (const blob of blobs) this.#lists[blob] = (this.#lists[blob] ?? 0) + 1
    const siblings = this.#present.get(tag)
    if (siblings === undefined) this.#present.set(tag, new Set([image]))
    else siblings.add(image)
  }

  #disappear(image: number): void {
    const { blobs, tag } = this.#image(image)
    this.#policy.left(image)
    this.#isPresent[image] = 0
    this.#wasWhole[image] = 0
    this.#images--
    this.#present.get(tag)?.delete(image)
    for (const blob of blobs) {
      const lists = (this.#lists[blob] ?? 0) - 1
      this.#lists[blob] = lists
      if (lists > 0 || this.#isHere[blob] === 0) continue
      this.#isHere[blob] = 0
      this.#usedBytes -= this.#size(blob)
    }
  }

  /** What is not in rows is gone: all that is here comes once more, as it was used last. */
  #restart(atMs: number): void {
    if (atMs - this.#startedMs < this.#options.restartsEveryMs) return
    this.#startedMs = atMs
    if (this.#options.policy.inRows) return
    this.#policy = this.#options.policy.open(this)
    const present = [...this.#present.values()].flatMap(images => [...images])
    const last = (image: number) => this.#lastUsedMs[image] ?? 0
    present.sort((a, b) => last(a) - last(b))
    for (const image of present) this.#policy.came(image, last(image), this.freedBytes(image))
  }

  #missing(blobs: readonly number[]): readonly number[] {
    return blobs.filter(blob => this.#isHere[blob] === 0)
  }

  #isAway(image: number, atMs: number): boolean {
    const { outage } = this.#options
    return (
      outage !== undefined &&
      outage.upstream === this.#image(image).upstream &&
      atMs >= outage.fromMs &&
      atMs < outage.untilMs
    )
  }

  #seconds(image: number, bytes: number): number {
    const upstream = this.#registry.upstreams[this.#image(image).upstream]
    if (upstream === undefined) return 0
    return upstream.delaySeconds + bytes / upstream.bytesPerSecond
  }

  #image(image: number): Image {
    return this.#registry.images[image] as Image
  }

  #size(blob: number): number {
    return this.#registry.sizes[blob] ?? 0
  }
}
