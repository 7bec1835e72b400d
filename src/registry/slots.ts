// A bounded number of places for work on one upstream, and a bounded queue before them: the smallest goes first, so that
// configs and small blobs never wait behind a gigabyte.
import { UpstreamError } from './ports/upstream.ts'
import type { Clock } from './ports/clock.ts'

/** Beyond this a site asks for more than its link can bring; the client is told to come back. */
const MAX_QUEUED = 2_000
/** Clients give up on an answer's head after 30 s; before that they are told to come back. */
const LONGEST_WAIT_MS = 25_000
const RETRY_AFTER_MS = 5_000

interface Waiting {
  readonly sizeBytes: number
  readonly enter: () => void
}

export class Slots {
  readonly #atOnce: number
  readonly #clock: Clock
  #taken = 0
  readonly #queue: Waiting[] = []

  constructor(atOnce: number, clock: Clock) {
    this.#atOnce = atOnce
    this.#clock = clock
  }

  /**
   * Waits for a place. `sizeBytes` orders the queue; equal sizes keep their order.
   * @throws UpstreamError unavailable; the signal's reason
   */
  async take(sizeBytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#taken < this.#atOnce) {
      this.#taken += 1
      return
    }
    if (this.#queue.length >= MAX_QUEUED) throw tooBusy()
    const entered = Promise.withResolvers<void>()
    const waiting = { sizeBytes, enter: entered.resolve }
    this.#insert(waiting)
    const settled = new AbortController()
    const ended: Promise<unknown> = this.#clock
      .sleep(LONGEST_WAIT_MS, AbortSignal.any([settled.signal, signal]))
      .then(tooBusy, (reason: unknown) => reason)
    const failure = await Promise.race([entered.promise, ended])
    settled.abort()
    const place = this.#queue.indexOf(waiting)
    // Not in the queue any more: it was let in, perhaps in the moment in which its time ended.
    if (place === -1) return
    this.#queue.splice(place, 1)
    throw failure
  }

  /** MUST be called once per take that returned. */
  give(): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#taken -= 1
    else next.enter()
  }

  #insert(waiting: Waiting): void {
    const place = this.#queue.findIndex(other => other.sizeBytes > waiting.sizeBytes)
    this.#queue.splice(place === -1 ? this.#queue.length : place, 0, waiting)
  }
}

function tooBusy(): UpstreamError {
  return new UpstreamError('unavailable', 'too many downloads are waiting for this upstream', {
    retryAfterMs: RETRY_AFTER_MS,
    hint: 'raise upstreams.<host>.fills if the link has room for more downloads at once',
  })
}
