// How far a fill has come, as plain as it can be: a few numbers and a wake-up, so that it can cross
// threads later. Followers read the file; this tells them how much of it they may read.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FillTask } from './fill-task.ts'
import type { Leftover } from './leftover.ts'

/**
 * The blob's last bytes stay here until length and digest are right, so that no client ever
 * receives a whole wrong blob (R85). One read of most clients: small enough to cost nothing, large
 * enough that a small blob is held back whole.
 */
export const HOLD_BACK_BYTES = 64 * 1024

/**
 * So much of a blob's first bytes is in memory until the file has them: who has waited for the
 * upstream need not wait for the disk, too. Enough to be worth a packet's trip, little enough to be
 * copied for each of a crowd.
 */
const BEGINNING_MAX_BYTES = 16 * 1024

/**
 * `verified`: every byte may be read. `uncached`: the disk is full, so whoever still reads must go
 * to the upstream itself. `failed`: what was read so far must not be taken for the blob.
 */
export type FillState = 'running' | 'verified' | 'uncached' | 'failed'

const NOTHING = new Uint8Array()

/** What a reader needs to know of a fill, or of what is in its place. */
export interface Followed {
  readonly task: FillTask
  readonly progress: FillProgress
  /** Bytes per millisecond that the upstream has given so far; 0 before the first. */
  readonly bytesPerMs: number
  /** What is left of the response that it had, once it is uncached. Default: nothing. */
  readonly leftover?: Pick<Leftover, 'take'>
}

export class FillProgress {
  #state: FillState = 'running'
  #contiguousBytes = 0
  #receivedBytes = 0
  #beginning: Uint8Array | undefined
  #sizeBytes: number | undefined
  #error: unknown
  readonly #sized = Promise.withResolvers<number>()
  #changes = 0
  readonly #waiters = new Set<() => void>()

  constructor() {
    // Nobody may be waiting when it fails.
    this.#sized.promise.catch(() => {})
  }

  get state(): FillState {
    return this.#state
  }

  /** On disk from 0 without a gap. */
  get contiguousBytes(): number {
    return this.#contiguousBytes
  }

  /**
   * All that the upstream has sent, in whatever order, also what was here already; it never falls.
   */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Undefined until the upstream or a manifest told. */
  get sizeBytes(): number | undefined {
    return this.#sizeBytes
  }

  /**
   * The length, once the upstream agreed to send the blob. Rejects with what went wrong before
   * that.
   */
  get whenSized(): Promise<number> {
    return this.#sized.promise
  }

  /** Why it failed. */
  get error(): unknown {
    return this.#error
  }

  /** How many bytes from 0 a follower may hand to its client out of the file. */
  get readableBytes(): number {
    return this.#readable(this.#contiguousBytes)
  }

  /**
   * The first bytes, for as long as the file has them not, and for good when it never gets them.
   * Whoever reads them leaves them as they are, to others.
   */
  get beginning(): Uint8Array | undefined {
    return this.#beginning
  }

  /**
   * The part of the beginning that a follower may hand to its client; empty when the file has it.
   */
  get readableBeginning(): Uint8Array {
    const bytes = this.#beginning
    return bytes === undefined ? NOTHING : bytes.subarray(0, this.#readable(bytes.length))
  }

  /**
   * `chunk` is what the blob begins with, and on its way into the file. A part of it is kept, as a
   * copy. Resolves a turn later: who waits for it, here or in another thread, is on the way before
   * the rest is hashed on the same processors.
   */
  async begin(chunk: Uint8Array): Promise<void> {
    if (this.#contiguousBytes > 0) return
    this.#beginning = new Uint8Array(chunk.subarray(0, BEGINNING_MAX_BYTES))
    this.#wake()
    await nextTurn()
  }

  sized(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes
    this.#sized.resolve(sizeBytes)
    this.#wake()
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes
  }

  advance(contiguousBytes: number): void {
    this.#contiguousBytes = contiguousBytes
    if (contiguousBytes >= (this.#beginning?.length ?? 0)) this.#beginning = undefined
    this.#wake()
  }

  /** The end; no effect after the first. */
  end(state: Exclude<FillState, 'running'>, error?: unknown): void {
    if (this.#state !== 'running') return
    this.#state = state
    this.#error = error
    if (state === 'failed') this.#sized.reject(error)
    this.#wake()
  }

  /** Counts the changes; see `changed`. */
  get changes(): number {
    return this.#changes
  }

  /**
   * Resolves when there are more changes than the `seen` that the caller read before it looked at
   * anything else, so that what happens between its look and its wait is not missed. Rejects with
   * the signal's reason.
   */
  changed(seen: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (seen !== this.#changes) return resolve()
      const settle = () => {
        signal.removeEventListener('abort', abort)
        this.#waiters.delete(settle)
        resolve()
      }
      const abort = () => {
        this.#waiters.delete(settle)
        reject(signal.reason)
      }
      this.#waiters.add(settle)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  #readable(bytes: number): number {
    if (this.#state === 'verified') return bytes
    if (this.#sizeBytes === undefined) return 0
    return Math.min(bytes, Math.max(0, this.#sizeBytes - HOLD_BACK_BYTES))
  }

  #wake(): void {
    this.#changes += 1
    // Each waiter removes itself; those that come back do so in a later turn, and wait for the next
    // change.
    for (const wake of this.#waiters) wake()
  }
}
