// How fast a client brings the piece of an upload that is waited for. What the disk or an upstream
// takes is not the client's time.

/**
 * As who takes a blob too slowly gives its place back to those who wait
 * (http/send/stalled-readers.ts): far slower than any line that pushes.
 */
const SLOW_BYTES = 64 * 1024
const SLOW_MS = 10_000

/** All times are monotonic. */
export class ClientPace {
  #sinceMs: number | undefined
  #waitedMs = 0
  #bytes = 0

  /** From now on the client is waited for. */
  wait(nowMs: number): void {
    this.#sinceMs = nowMs
  }

  came(bytes: number, nowMs: number): void {
    this.#waitedMs += nowMs - (this.#sinceMs ?? nowMs)
    this.#sinceMs = undefined
    this.#bytes += bytes
    if (this.#bytes < SLOW_BYTES) return
    this.#waitedMs = 0
    this.#bytes = 0
  }

  /** Nothing is waited for any more. */
  rest(): void {
    this.#sinceMs = undefined
    this.#waitedMs = 0
    this.#bytes = 0
  }

  /** It is waited for, and has been for so long while so little came. */
  isSlow(nowMs: number): boolean {
    return this.#sinceMs !== undefined && this.#waitedMs + nowMs - this.#sinceMs >= SLOW_MS
  }
}
