// Uses of content, coalesced by digest and handed on a few at a time: a hit must never cost a
// commit. What waits here is lost in a crash; it only tells eviction what was served lately.
import type { Digest } from '../../oci/digest.ts'
import type { Clock } from '../../registry/ports/clock.ts'

/** How old a use may be before it is written although nothing else is. */
const FLUSH_AFTER_MS = 5000
/** Digests that may wait; 4,000 updates are some 20 ms of the writer thread. */
const MAX_WAITING = 4000

type Taken = readonly (readonly [Digest, number])[]

export class Uses {
  readonly #clock: Clock
  readonly #write: (uses: Taken) => Promise<void>
  readonly #stop = new AbortController()
  #waiting = new Map<Digest, number>()
  #timed = false

  constructor(clock: Clock, write: (uses: Taken) => Promise<void>) {
    this.#clock = clock
    this.#write = write
  }

  note(digest: Digest, atMs: number): void {
    if (this.#stop.signal.aborted) return
    this.#waiting.set(digest, Math.max(atMs, this.#waiting.get(digest) ?? atMs))
    if (this.#waiting.size >= MAX_WAITING) void this.flush()
    else if (!this.#timed) void this.#flushLater()
  }

  /**
   * Hands on all that waits, before it returns. Resolves when that is written, or lost: that the
   * catalog fails is told by other writes.
   */
  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return
    const taken = [...this.#waiting]
    this.#waiting = new Map()
    await this.#write(taken).catch(() => {})
  }

  /** Later notes have no effect. */
  stop(): void {
    this.#stop.abort()
  }

  async #flushLater(): Promise<void> {
    this.#timed = true
    try {
      await this.#clock.sleep(FLUSH_AFTER_MS, this.#stop.signal)
    } catch {
      // Stopped: whoever stops flushes what is left.
      return
    } finally {
      this.#timed = false
    }
    await this.flush()
  }
}
