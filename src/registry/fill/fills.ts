// The fills that run now: at most one per digest (R82), a bounded number per upstream, all of them ended on a stop.
import type { Digest } from '../../oci/digest.ts'
import { Fill, type FillDeps, type FillTask } from './fill.ts'
import type { Namespace } from '../namespaces.ts'
import { Slots } from './slots.ts'

export class Fills {
  readonly #deps: FillDeps
  readonly #running = new Map<Digest, { fill: Fill; ended: Promise<unknown> }>()
  /** A namespace that was configured anew begins with its own number of places. */
  readonly #slots = new WeakMap<Namespace, Slots>()
  #stopped: Error | undefined

  constructor(deps: FillDeps) {
    this.#deps = deps
  }

  find(digest: Digest): Fill | undefined {
    return this.#running.get(digest)?.fill
  }

  get size(): number {
    return this.#running.size
  }

  /** Joins the fill of this digest or starts one. The caller has made sure that the repository may read it. */
  start(task: FillTask): { fill: Fill; joined: boolean } {
    const running = this.find(task.digest)
    if (running !== undefined) return { fill: running, joined: true }
    const fill = new Fill(this.#deps, task)
    if (this.#stopped !== undefined) fill.stop(this.#stopped)
    this.#running.set(task.digest, { fill, ended: this.#run(fill) })
    return { fill, joined: false }
  }

  /** Parks every running fill and waits until their files are closed. Later fills end at once. */
  async stop(): Promise<void> {
    this.#stopped = new Error('this edge is stopping')
    for (const { fill } of this.#running.values()) fill.stop(this.#stopped)
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
  }

  async #run(fill: Fill): Promise<void> {
    const { namespace } = fill.task
    let slots = this.#slots.get(namespace)
    if (slots === undefined) {
      slots = new Slots(namespace.fillsAtOnce, this.#deps.clock)
      this.#slots.set(namespace, slots)
    }
    await fill.run(slots)
    this.#running.delete(fill.task.digest)
    fill.ended()
  }
}
