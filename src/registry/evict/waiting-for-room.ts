// Who waits for room: all share the run that makes it, and each goes on once as much has become
// free as it waits for. When a run begins and ends is evictor.ts's.
import type { Quota } from '../routing/quota.ts'
import type { Evict, Told } from './gone.ts'
import type { Quotas } from './quotas.ts'

interface Waiting extends Evict {
  readonly fromBytes: number
  readonly untilBytes: number
  readonly done: PromiseWithResolvers<number>
}

export class WaitingForRoom {
  readonly #quotas: () => Quotas
  readonly #waiting = new Set<Waiting>()
  /** Since the start. */
  #freedBytes = 0

  constructor(quotas: () => Quotas) {
    this.#quotas = quotas
  }

  get isAny(): boolean {
    return this.#waiting.size > 0
  }

  /** Of the one who waits for most; 0 when nobody waits. */
  get wantedBytes(): number {
    return Math.max(0, ...[...this.#waiting].map(each => each.untilBytes - this.#freedBytes))
  }

  /**
   * Resolves to how much has become free since, when that is `bytes`, its signal is aborted, or
   * there is no more.
   */
  async join(bytes: number, how: Evict): Promise<number> {
    const fromBytes = this.#freedBytes
    const done = Promise.withResolvers<number>()
    const mine = { ...how, fromBytes, untilBytes: fromBytes + bytes, done }
    this.#waiting.add(mine)
    const leave = () => this.#end(mine)
    how.signal.addEventListener('abort', leave, { once: true })
    try {
      return await done.promise
    } finally {
      how.signal.removeEventListener('abort', leave)
    }
  }

  noteFreed(bytes: number): void {
    this.#freedBytes += bytes
    const waiting = [...this.#waiting].filter(each => each.untilBytes <= this.#freedBytes)
    // Pages that leave at once may be told of together: who needed less has waited for more.
    for (const each of waiting.toSorted((a, b) => a.untilBytes - b.untilBytes)) this.#end(each)
  }

  /** There is no more: they do without. */
  endAll(): void {
    for (const each of this.#waiting) this.#end(each)
  }

  /** Does somebody of this quota wait? */
  isOwn(quota: Quota): boolean {
    return [...this.#waiting].some(
      ({ of }) => of !== undefined && this.#quotas().of(of).includes(quota),
    )
  }

  /** What those want to be told that wait now; undefined: nobody does. */
  toldOfNow(): Told | undefined {
    const all = [...this.#waiting].flatMap(({ told }) => told ?? [])
    return all.length === 0 ? undefined : gone => all.forEach(told => told(gone))
  }

  #end(waiting: Waiting): void {
    if (this.#waiting.delete(waiting)) waiting.done.resolve(this.#freedBytes - waiting.fromBytes)
  }
}
