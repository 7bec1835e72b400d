// The fills that run now: at most one per digest (R82), a bounded number per upstream, all of them
// ended on a stop.
import { boundedCache } from '../../async/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import type { FillTask } from './fill-task.ts'
import { Fill, type FillDeps } from './fill.ts'
import { repositoryKey } from '../../oci/reference.ts'
import { createFillShare, type FillShare } from './fill-share.ts'
import type { Namespace } from '../routing/namespaces.ts'
import { Slots } from './slots.ts'
import { speculateIn } from './speculative-fill.ts'

/**
 * More than end during one look at a disk that answers within seconds. Each costs a string that
 * others hold, too.
 */
const ENDS_REMEMBERED = 4096

/**
 * Of all registries together that only clients named: somebody who has a domain has names without
 * end, and each fill takes descriptors and connections. More than people pull at once from
 * registries that nobody has listed.
 */
const NAMED_FILLS_MAX = 64

export class Fills {
  readonly #deps: FillDeps
  readonly #running = new Map<Digest, { fill: Fill; ended: Promise<unknown> }>()
  /** A namespace that was configured anew begins with its own places. */
  readonly #shares = new WeakMap<Namespace, FillShare>()
  /** When each of the last fills ended, counted in ends, in that order. */
  readonly #ends = boundedCache<number, Digest>(ENDS_REMEMBERED)
  #endsSoFar = 0
  readonly #named: Slots
  #stopped: Error | undefined
  #whenPlace: () => void = () => {}

  constructor(deps: FillDeps) {
    this.#deps = deps
    this.#named = new Slots(NAMED_FILLS_MAX, deps.clock)
  }

  find(digest: Digest): Fill | undefined {
    return this.#running.get(digest)?.fill
  }

  get size(): number {
    return this.#running.size
  }

  /** How many have their place. */
  get #underWay(): number {
    return [...this.#running.values()].filter(({ fill }) => !fill.isQueued).length
  }

  /** The present, for `hasEndedSince`. */
  get moment(): number {
    return this.#endsSoFar
  }

  /**
   * Has a fill of this digest ended? Then the disk may have what a look that began at that moment
   * did not find.
   */
  hasEndedSince(digest: Digest, moment: number): boolean {
    const isForgotten = this.#endsSoFar - moment > ENDS_REMEMBERED
    return isForgotten || (this.#ends.peek(digest) ?? 0) > moment
  }

  /**
   * Joins the fill of this digest or starts one. The caller has made sure that the repository may
   * read it. A fill that is given up comes back as well, to be waited for.
   */
  start(task: FillTask): { fill: Fill; joined: boolean } {
    const running = this.find(task.digest)
    if (running?.speculation !== undefined && !running.isGivenUp) {
      running.speculation.keep()
      running.speculation = undefined
      return { fill: running, joined: false }
    }
    if (running !== undefined) return { fill: running, joined: true }
    const fill = new Fill(this.#deps, task)
    if (this.#stopped !== undefined) fill.stop(this.#stopped)
    this.#begin(fill)
    return { fill, joined: false }
  }

  /**
   * Starts a fill that no client has asked for yet, in a place that nobody needs; see Speculation.
   * It gives way to whoever waits for a place, and is like any other once somebody asks by `start`.
   * Undefined when the blob is on its way already, or there is no place.
   */
  startSpeculative(task: FillTask): Fill | undefined {
    if (this.#stopped !== undefined || this.find(task.digest) !== undefined) return undefined
    const fill = new Fill(this.#deps, task)
    const { slots } = this.#shareOf(task.namespace)
    fill.speculation = speculateIn(slots, {
      group: repositoryKey(task.repository),
      sizeBytes: task.declaredBytes ?? Number.POSITIVE_INFINITY,
      stop: reason => fill.stop(reason),
    })
    if (fill.speculation === undefined) return undefined
    this.#begin(fill)
    return fill
  }

  /** Resolves when what readers have whole of this blob is on the disk as well. */
  async published(digest: Digest): Promise<void> {
    const fill = this.find(digest)
    if (fill?.progress.state === 'verified') await fill.over
  }

  /** Could a speculative one be started for this upstream? */
  hasPlace(namespace: Namespace): boolean {
    return !this.#shareOf(namespace).slots.areTaken
  }

  /**
   * `listener` is told when a fill has given its place back, which is before its blob is safe on
   * the disk, and again when it is over; of one that failed only then. The last one given counts.
   */
  whenPlace(listener: () => void): void {
    this.#whenPlace = listener
  }

  /** Parks every running fill and waits until their files are closed. Later fills end at once. */
  async stop(): Promise<void> {
    this.#stopped = new Error('this edge is stopping')
    for (const { fill } of this.#running.values()) fill.stop(this.#stopped)
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
  }

  #begin(fill: Fill): void {
    this.#running.set(fill.task.digest, { fill, ended: this.#run(fill) })
  }

  #shareOf(namespace: Namespace): FillShare {
    let share = this.#shares.get(namespace)
    if (share === undefined) {
      share = createFillShare(namespace, {
        clock: this.#deps.clock,
        named: this.#named,
        freed: () => this.#whenPlace(),
        underWay: () => this.#underWay,
      })
      this.#shares.set(namespace, share)
    }
    return share
  }

  async #run(fill: Fill): Promise<void> {
    const { namespace, digest, repository } = fill.task
    const whose = { from: repository.registry, apart: !namespace.shares }
    const filled = this.#deps.inUse.fill(digest, whose)
    await fill.run(this.#shareOf(namespace))
    filled()
    this.#running.delete(digest)
    this.#ends.set(digest, ++this.#endsSoFar)
    fill.ended()
    this.#whenPlace()
  }
}
