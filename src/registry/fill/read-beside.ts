// Readers of a fill whose file the disk cannot read, who go to the upstream by themselves. One may
// at once, and need not wait for the end; a crowd would fetch the blob once for each. But nobody
// stays in an answer that is silent for long.

/**
 * Proxies and clients give up on a body of which nothing comes for a minute. By then 64 may go,
 * which is more than wait for one blob but in a herd.
 */
export const BESIDE_AFTER_MS = 10_000

export class ReadBeside {
  #firstAtMs: number | undefined
  #count = 0

  /**
   * May one more go? `nowMs`, monotonic. One at first, and twice as many after each
   * BESIDE_AFTER_MS: so a crowd waits for few of those, and the upstream has it step by step.
   */
  take(nowMs: number): boolean {
    this.#firstAtMs ??= nowMs
    const times = Math.floor((nowMs - this.#firstAtMs) / BESIDE_AFTER_MS)
    if (this.#count >= 2 ** times) return false
    this.#count += 1
    return true
  }
}
