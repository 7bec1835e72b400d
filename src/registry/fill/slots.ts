// A bounded number of places for work on one upstream, and a bounded queue before them: the smallest goes first, so that
// configs and small blobs never wait behind a gigabyte, and who has waited long has a turn of its own.
import type { Clock } from '../ports/clock.ts'

/** Beyond this a site asks for more than its link can bring; the client is told to come back. */
const MAX_QUEUED = 2_000
/**
 * From this age on size does not count against an entry: a config or a small blob is through in less, so what has waited longer
 * was passed by others, and under small blobs without end it would be passed for ever.
 */
const PATIENCE_MS = 5_000
const RETRY_AFTER_MS = 5_000

/** Downloads wait for each other at this edge; the upstream is not to blame. Not safe to show to clients. */
export class QueueError extends Error {
  readonly retryAfterMs = RETRY_AFTER_MS
  /** For the log. */
  readonly hint = 'raise upstreams.<host>.fills if the link has room for more downloads at once'

  constructor() {
    super('too many downloads are waiting for this upstream')
    this.name = 'QueueError'
  }
}

interface Waiting {
  readonly sizeBytes: number
  readonly sinceMs: number
  readonly enter: () => void
}

export class Slots {
  readonly #atOnce: number
  readonly #clock: Clock
  #taken = 0
  /** In the order of their coming. */
  readonly #queue: Waiting[] = []
  #isTurnOfAge = true

  constructor(atOnce: number, clock: Clock) {
    this.#atOnce = atOnce
    this.#clock = clock
  }

  /** Would the next one have to wait? */
  get areTaken(): boolean {
    return this.#taken >= this.#atOnce
  }

  /**
   * Waits for a place, as long as it takes: every place comes back, as whoever has one is bounded in time. `sizeBytes` orders the
   * queue; equal sizes keep their order.
   * @throws QueueError when too many wait; the signal's reason
   */
  async take(sizeBytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.areTaken) {
      this.#taken += 1
      return
    }
    if (this.#queue.length >= MAX_QUEUED) throw new QueueError()
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        reject(signal.reason)
      }
      const enter = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const waiting = { sizeBytes, sinceMs: this.#clock.monotonicMs(), enter }
      this.#queue.push(waiting)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  /** MUST be called once per take that returned. */
  give(): void {
    const next = this.#next()
    if (next === undefined) this.#taken -= 1
    else next.enter()
  }

  /**
   * Every second place goes to the oldest, if that has waited beyond all patience; the others to the smallest. Not every place, or a
   * queue that has grown old would let no config pass.
   */
  #next(): Waiting | undefined {
    const [oldest] = this.#queue
    if (oldest === undefined) return undefined
    const isOld = this.#clock.monotonicMs() - oldest.sinceMs >= PATIENCE_MS
    const goesByAge = isOld && this.#isTurnOfAge
    this.#isTurnOfAge = !goesByAge
    const chosen = goesByAge
      ? oldest
      : this.#queue.reduce((least, other) => (other.sizeBytes < least.sizeBytes ? other : least))
    this.#queue.splice(this.#queue.indexOf(chosen), 1)
    return chosen
  }
}
