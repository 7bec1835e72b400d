// How fast the client of an upload brings it: whether it is too slow to be waited for, and how much
// of what it announces may be kept from others for it. What is made of that is upload.ts's and
// uploads.ts's.

/**
 * As who takes a blob too slowly gives its place back to those who wait
 * (http/send/stalled-readers.ts): far slower than any line that pushes.
 */
const SLOW_BYTES = 64 * 1024
const SLOW_MS = 10_000

/**
 * What a client brings in so long, as it has come until now, is promised to it: all of a large blob
 * to who is fast, and no more than a few minutes' worth to who is slow, announces much and may
 * never bring it.
 */
const SOON_MS = 10 * 60_000

/**
 * How fast a client brings the piece of an upload that is waited for. What the disk or an upstream
 * takes is not the client's time. All times are monotonic.
 */
export class ClientPace {
  #sinceMs: number | undefined
  #waitedMs = 0
  #bytes = 0
  #allWaitedMs = 0
  #allBytes = 0

  /** From now on the client is waited for. */
  wait(nowMs: number): void {
    this.#sinceMs = nowMs
  }

  came(bytes: number, nowMs: number): void {
    const waitedMs = nowMs - (this.#sinceMs ?? nowMs)
    this.#waitedMs += waitedMs
    this.#allWaitedMs += waitedMs
    this.#sinceMs = undefined
    this.#bytes += bytes
    this.#allBytes += bytes
    if (this.#bytes < SLOW_BYTES) return
    this.#waitedMs = 0
    this.#bytes = 0
  }

  /** Nothing is waited for any more. */
  rest(): void {
    this.#sinceMs = undefined
    this.#waitedMs = 0
    this.#bytes = 0
    this.#allWaitedMs = 0
    this.#allBytes = 0
  }

  /** Nothing at first: a few bytes at once are no pace, so it is as if there had been a wait. */
  broughtSoonBytes(nowMs: number): number {
    const waitedMs = this.#allWaitedMs + nowMs - (this.#sinceMs ?? nowMs)
    return Math.floor((this.#allBytes * SOON_MS) / (SLOW_MS + waitedMs))
  }

  get isWaitedFor(): boolean {
    return this.#sinceMs !== undefined
  }

  /** It is waited for, and has been for so long while so little came. */
  isSlow(nowMs: number): boolean {
    return this.#sinceMs !== undefined && this.#waitedMs + nowMs - this.#sinceMs >= SLOW_MS
  }
}
