// Whether somebody goes on with an upload: who brings next to nothing, or only asks, does not.

/**
 * A client that goes on with what it has sent does so within minutes, and one that waits for a
 * line, or for a person, mostly within this time. It is measured by this process alone: no clock
 * that is set makes one older than it is here, and after a start every client has as long again.
 */
export const IDLE_AFTER_MS = 60 * 60_000

/**
 * Less than this part of what there is, and nobody goes on with it: else whoever has filled the
 * room keeps it by a byte in an hour. Who brings so much soon has no room left to hold it by, and
 * 10 GB go on by 45 KB a second.
 */
const GROWTH_SHARE = 1 / 64
/**
 * And not less than this, which any line that pushes brings within ten seconds (client-pace.ts):
 * else whoever begins as many as there may be keeps every place by a byte for each in an hour.
 */
const GROWTH_LEAST_BYTES = 64 * 1024

/**
 * A client that comes back asks first and goes on within seconds. Once, until it grows: who only
 * asks would keep it else.
 */
const ASKED_FOR_MS = 60_000

/** When an upload was last seen to grow. All times are monotonic. */
export class UploadGrowth {
  sinceMs: number | undefined
  #bytes = 0
  #isAsked = false

  note(sizeBytes: number, nowMs: number): void {
    this.noteCut(sizeBytes)
    const leastBytes = Math.max(GROWTH_LEAST_BYTES, this.#bytes * GROWTH_SHARE)
    if (this.sinceMs !== undefined && sizeBytes - this.#bytes < leastBytes) return
    this.sinceMs = nowMs
    this.#bytes = sizeBytes
    this.#isAsked = false
  }

  /** What was not durable may be gone: its client sends that again. */
  noteCut(sizeBytes: number): void {
    this.#bytes = Math.min(this.#bytes, sizeBytes)
  }

  noteAsked(nowMs: number): void {
    const asIfMs = nowMs - IDLE_AFTER_MS + ASKED_FOR_MS
    if (this.#isAsked || this.sinceMs === undefined || this.sinceMs >= asIfMs) return
    this.sinceMs = asIfMs
    this.#isAsked = true
  }
}
