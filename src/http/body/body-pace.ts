// When to give up a client that is waited for with its body: after a while of silence, or a longer
// one of next to nothing. What the disk or an upstream takes meanwhile is not the client's time.
import { BODY_IDLE_MS, BODY_LEAST_BYTES, BODY_LEAST_MS } from '../limits.ts'

export type TooSlow = 'silent' | 'trickles'

/** All times are monotonic. */
export class BodyPace {
  #sinceMs: number | undefined
  /** Waited for, and come, since the last BODY_LEAST_BYTES had come. */
  #waitedMs = 0
  #bytes = 0

  /** From now on the client is waited for. */
  wait(nowMs: number): void {
    this.#sinceMs = nowMs
  }

  /** Something came, or the wait is over. */
  rest(nowMs: number): void {
    this.#waitedMs += this.#ownMs(nowMs)
    this.#sinceMs = undefined
  }

  came(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < BODY_LEAST_BYTES) return
    this.#waitedMs = 0
    this.#bytes = 0
  }

  /** When to look again. Nobody is too slow who is not waited for. */
  leftMs(nowMs: number): number {
    if (this.#sinceMs === undefined) return BODY_IDLE_MS
    const ownMs = this.#ownMs(nowMs)
    return Math.min(BODY_IDLE_MS - ownMs, BODY_LEAST_MS - this.#waitedMs - ownMs)
  }

  tooSlow(nowMs: number): TooSlow | undefined {
    if (this.#sinceMs === undefined) return undefined
    if (this.#ownMs(nowMs) >= BODY_IDLE_MS) return 'silent'
    return this.leftMs(nowMs) <= 0 ? 'trickles' : undefined
  }

  #ownMs(nowMs: number): number {
    return this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs
  }
}
