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

  /** Waits for a place. `sizeBytes` orders the queue; equal sizes keep their order. @throws UpstreamError unavailable */
  async take(sizeBytes: number): Promise<void> {
    if (this.#taken < this.#atOnce) {
      this.#taken += 1
      return
    }
    if (this.#queue.length >= MAX_QUEUED) throw tooBusy()
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = { sizeBytes, enter: resolve }
    this.#insert(waiting)
    const settled = new AbortController()
    const late = this.#clock.sleep(LONGEST_WAIT_MS, settled.signal).then(() => 'late' as const)
    late.catch(() => {})
    const first = await Promise.race([promise, late])
    settled.abort()
    if (first !== 'late') return
    const place = this.#queue.indexOf(waiting)
    // It may have been let in at the same moment.
    if (place === -1) return
    this.#queue.splice(place, 1)
    throw tooBusy()
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
