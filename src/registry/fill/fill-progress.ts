// How far a fill has come, as plain as it can be: a few numbers and a wake-up, so that it can cross threads later.
// Followers read the file; this tells them how much of it they may read.

/**
 * The blob's last bytes stay here until length and digest are right, so that no client ever receives a whole wrong blob (R85).
 * One read of most clients: small enough to cost nothing, large enough that a small blob is held back whole.
 */
export const HOLD_BACK_BYTES = 64 * 1024

/**
 * `verified`: every byte may be read. `uncached`: the disk is full, so whoever still reads must go to the upstream itself.
 * `failed`: what was read so far must not be taken for the blob.
 */
export type FillState = 'running' | 'verified' | 'uncached' | 'failed'

export class FillProgress {
  #state: FillState = 'running'
  #contiguousBytes = 0
  #sizeBytes: number | undefined
  #error: unknown
  #changes = 0
  readonly #waiters = new Set<() => void>()

  get state(): FillState {
    return this.#state
  }

  /** On disk from 0 without a gap. */
  get contiguousBytes(): number {
    return this.#contiguousBytes
  }

  /** Undefined until the upstream or a manifest told. */
  get sizeBytes(): number | undefined {
    return this.#sizeBytes
  }

  /** Why it failed. */
  get error(): unknown {
    return this.#error
  }

  /** How many bytes from 0 a follower may hand to its client. */
  get readableBytes(): number {
    if (this.#state === 'verified') return this.#contiguousBytes
    if (this.#sizeBytes === undefined) return 0
    return Math.min(this.#contiguousBytes, Math.max(0, this.#sizeBytes - HOLD_BACK_BYTES))
  }

  sized(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes
    this.#wake()
  }

  advance(contiguousBytes: number): void {
    this.#contiguousBytes = contiguousBytes
    this.#wake()
  }

  /** The end; no effect after the first. */
  end(state: Exclude<FillState, 'running'>, error?: unknown): void {
    if (this.#state !== 'running') return
    this.#state = state
    this.#error = error
    this.#wake()
  }

  /** Counts the changes; see `changed`. */
  get changes(): number {
    return this.#changes
  }

  /**
   * Resolves when there are more changes than the `seen` that the caller read before it looked at anything else, so that what happens
   * between its look and its wait is not missed. Rejects with the signal's reason.
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

  #wake(): void {
    this.#changes += 1
    // Each waiter removes itself; those that come back do so in a later turn, and wait for the next change.
    for (const wake of this.#waiters) wake()
  }
}
