// Where requests wait for one of the places for bodies of blobs, which are bounded for the whole
// process. Who waits holds nothing but its connection. There is one in a process: other threads
// take free places by themselves (free-places.ts), and ask the thread that has it for others.
import type { Metrics } from '../../observe/metrics.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { FreePlaces, type FreePlacesOptions, type Place } from './free-places.ts'
import { createFairQueue } from './queue.ts'

/**
 * Requests that wait for a place; each is a connection and little else. Beyond: 503 at once, for
 * the client that has most of them there.
 */
export const WAITING_MAX = 2_000
/**
 * Clients wait thirty seconds for a head (R18); what is left of it is for the answer. Beyond: 503.
 */
export const PLACE_WAIT_MAX_MS = 20_000
/** How often it is looked at who waited too long; nobody is looked at while nobody waits. */
export const WAITING_TICK_MS = 1_000
/**
 * What one client may have of all places while others wait: a quarter, but so many at least, as one
 * pull has a few layers at once.
 */
const CLIENT_SHARE = 0.25
const CLIENT_PLACES_MIN = 32
/** Told in turn to those that are refused, so that they do not all come back at once. */
const RETRY_AFTER_SECONDS = [3, 6, 4, 7, 5, 8] as const

export type PlaceRefusal = 'full' | 'late'

export interface Places {
  /**
   * Resolves with a place, at once when one is free. `client` is who shares fairly with others: an
   * address. MUST be released once the body is over.
   * @throws RegistryError UNAVAILABLE with `retryAfterSeconds`; the signal's reason, when it aborts
   * first
   */
  take(client: string, signal: AbortSignal): Promise<Place>
  /** A place, if there is one to be had without asking anybody and waiting. As for `take`. */
  takeNow(client: string): Place | undefined
}

export interface WaitingRoomNotes {
  /** Bodies being sent, and requests waiting, changed to these. */
  counts(taken: number, waiting: number): void
  /** A request that had to wait got its place. */
  waited(ms: number): void
  refused(reason: PlaceRefusal): void
  /** So many have been waiting for a while; called about once a second for as long as any do. */
  stillWaiting(waiting: number): void
}

export interface WaitingRoomOptions extends Pick<FreePlacesOptions, 'limit' | 'counts'> {
  readonly clock: Clock
  readonly note: WaitingRoomNotes
}

interface Waiting {
  readonly sinceMs: number
  /** A place is reserved for it. */
  readonly enter: () => void
  readonly refuse: (reason: PlaceRefusal) => void
}

/** With the places that its own thread takes. */
export class WaitingRoom implements Places {
  readonly #clock: Clock
  readonly #note: WaitingRoomNotes
  readonly #free: FreePlaces
  readonly #queue = createFairQueue<Waiting>()
  /** What other threads took by themselves, by client. */
  readonly #heldBy = new Map<unknown, ReadonlyMap<string, number>>()
  readonly #share: number
  #isWaitedFor = false
  #isTicking = false
  #refusals = 0

  constructor({ limit, counts, clock, note }: WaitingRoomOptions) {
    this.#clock = clock
    this.#note = note
    this.#free = new FreePlaces({ limit, counts, released: () => this.freed() })
    this.#share = Math.max(CLIENT_PLACES_MIN, Math.floor(limit * CLIENT_SHARE))
  }

  takeNow(client: string): Place | undefined {
    const place = this.#free.takeNow(client)
    if (place !== undefined) this.recount()
    return place
  }

  async take(client: string, signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted()
    const place = this.takeNow(client)
    if (place !== undefined) return place
    if (this.#queue.size >= WAITING_MAX) {
      const displaced = this.#queue.displace(client)
      if (displaced === undefined) throw this.#refusal('full')
      displaced.refuse('full')
    }
    return this.#wait(client, signal)
  }

  /** A place was given back, on whatever thread, or a thread is no more. */
  freed(): void {
    this.#admit()
    this.recount()
  }

  /**
   * What a thread holds of places that it took by itself, by client: for as long as others wait, so
   * that shares are fair.
   */
  othersHold(thread: unknown, held: ReadonlyMap<string, number>): void {
    if (held.size === 0) this.#heldBy.delete(thread)
    else this.#heldBy.set(thread, held)
  }

  /** Tells `counts` how it is now: what other threads take and give back is not told of. */
  recount(): void {
    this.#note.counts(this.#free.taken, this.#queue.size)
  }

  #wait(client: string, signal: AbortSignal): Promise<Place> {
    const sinceMs = this.#clock.monotonicMs()
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        sinceMs,
        enter: () => {
          signal.removeEventListener('abort', giveUp)
          this.#note.waited(this.#clock.monotonicMs() - sinceMs)
          resolve(this.#free.hold(client))
        },
        refuse: reason => {
          signal.removeEventListener('abort', giveUp)
          reject(this.#refusal(reason))
        },
      }
      const giveUp = () => {
        this.#queue.remove(client, entry)
        this.#lookWhetherAnyWait()
        this.recount()
        reject(signal.reason)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      // What others held when somebody waited the last time may be given back since; they tell anew
      // while this one waits.
      if (this.#queue.size === 0) this.#heldBy.clear()
      this.#queue.add(client, entry)
      this.#lookWhetherAnyWait()
      this.freed()
      if (!this.#isTicking) void this.#tick()
    })
  }

  /** Who waits gets what is free. */
  #admit(): void {
    while (this.#queue.size > 0 && this.#free.reserve()) {
      this.#queue.next(client => this.#hasShare(client))?.enter()
    }
    this.#lookWhetherAnyWait()
  }

  #hasShare(client: string): boolean {
    let has = this.#free.held.get(client) ?? 0
    for (const held of this.#heldBy.values()) has += held.get(client) ?? 0
    return has >= this.#share
  }

  #lookWhetherAnyWait(): void {
    const isWaitedFor = this.#queue.size > 0
    if (isWaitedFor === this.#isWaitedFor) return
    this.#isWaitedFor = isWaitedFor
    this.#free.setWaitedFor(isWaitedFor)
  }

  async #tick(): Promise<void> {
    this.#isTicking = true
    while (this.#queue.size > 0) {
      await this.#clock.sleep(WAITING_TICK_MS)
      const nowMs = this.#clock.monotonicMs()
      for (const [client, entry] of this.#queue.entries()) {
        if (nowMs - entry.sinceMs < PLACE_WAIT_MAX_MS) continue
        this.#queue.remove(client, entry)
        entry.refuse('late')
      }
      this.freed()
      if (this.#queue.size > 0) this.#note.stillWaiting(this.#queue.size)
    }
    this.#isTicking = false
  }

  #refusal(reason: PlaceRefusal): RegistryError {
    this.#note.refused(reason)
    this.#refusals += 1
    return refusal(reason, RETRY_AFTER_SECONDS[this.#refusals % RETRY_AFTER_SECONDS.length])
  }
}

/** For the log of the operator, as the cause of what the client is told. */
class StreamsFullError extends Error {
  readonly hint =
    'raise http.streams if this machine has memory and its network has room for more at once'

  constructor() {
    super('all places for blobs are taken')
    this.name = 'StreamsFullError'
  }
}

function refusal(reason: PlaceRefusal, retryAfterSeconds = 5): RegistryError {
  const why =
    reason === 'full'
      ? 'and too many requests wait for their turn'
      : `and no turn came for this request in ${PLACE_WAIT_MAX_MS / 1000} seconds`
  return new RegistryError(
    'UNAVAILABLE',
    `this registry sends as many blobs as it can at once, ${why}; try again`,
    { retryAfterSeconds, cause: new StreamsFullError() },
  )
}

const MS_PER_SECOND = 1_000

/** As metrics; and the word to readers that take nothing, `stillWaiting`, goes on. */
export function noteWaitingRoom(
  metrics: Metrics,
  stillWaiting: WaitingRoomNotes['stillWaiting'],
): WaitingRoomNotes {
  return {
    counts(taken, waiting) {
      metrics.set('streamsInFlight', {}, taken)
      metrics.set('streamsWaiting', {}, waiting)
    },
    waited: ms => metrics.observe('streamWait', {}, ms / MS_PER_SECOND),
    refused: reason => metrics.count('streamsRefused', { reason }),
    stillWaiting,
  }
}
