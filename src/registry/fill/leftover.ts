// What is left of a response that its fill could not keep, for want of room or since the disk
// failed: a reader goes on with it, and the upstream is not asked once more. One can have it, the
// first that needs what comes next.
import { NOT_NEEDED } from '../../async/aborting.ts'
import type { Clock } from '../ports/clock.ts'
import type { UpstreamBlob } from '../ports/upstream-content.ts'
import { isOfDisk } from './fill-rules.ts'
import { discard } from './fill-task.ts'

/** Who is further behind asks by itself: meanwhile the upstream is kept from sending. */
const KEPT_MS = 5_000

export class Leftover {
  readonly #clock: Pick<Clock, 'sleep'>
  readonly #gone = new AbortController()
  #response: UpstreamBlob | undefined
  #wasLeft = false

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock
  }

  /** Somebody may be reading it still. */
  get wasLeft(): boolean {
    return this.#wasLeft
  }

  /**
   * `failure`: why it is not read to its end. False, and no effect, when that is nothing of the
   * disk, or when it is a part of the blob alone.
   */
  leave(response: UpstreamBlob, failure: unknown): boolean {
    if (!isOfDisk(failure) || response.lastByte !== undefined) return false
    this.#response = response
    this.#wasLeft = true
    const drop = () => this.drop()
    this.#clock.sleep(KEPT_MS, this.#gone.signal).then(drop, () => {})
    return true
  }

  /** For who has all before `position`; undefined where there is none, or it begins later. */
  take(position: number): UpstreamBlob | undefined {
    const response = this.#response
    if (response === undefined || response.offset > position) return undefined
    this.#forget()
    return response
  }

  /** Nobody is to have it any more; no effect once somebody does. */
  async drop(): Promise<void> {
    const response = this.#response
    this.#forget()
    if (response !== undefined) await discard(response).catch(() => {})
  }

  #forget(): void {
    this.#response = undefined
    this.#gone.abort(NOT_NEEDED)
  }
}

/** A body that whoever reads it may leave to another. */
export class LeavableBody implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>
  #first: Uint8Array | undefined
  #isLeft = false

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#source = body[Symbol.asyncIterator]()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const value = this.#first
    this.#first = undefined
    return value === undefined ? this.#source.next() : Promise.resolve({ done: false, value })
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#isLeft) await this.#source.return?.()
    this.#isLeft = false
    return { done: true, value: undefined }
  }

  /** For the next one, with `first` in front; who has it now ends, without ending it. */
  leave(first: Uint8Array): this {
    this.#first = first
    this.#isLeft = true
    return this
  }
}
