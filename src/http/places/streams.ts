// Places for blob bodies that are being sent, bounded for the whole process, and the waiting room
// before them. Who waits holds nothing but its connection. One of these per process: other threads
// take free places by themselves, and ask the one that has it for others.
import { RegistryError } from '../../oci/errors.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { createFairQueue } from './streams-queue.ts'
import { createStreamsRoom, type StreamsRoom } from './streams-room.ts'

/**
 * Requests that wait for a place; each is a connection and little else. Beyond: 503 at once, for
 * the client that has most of them there.
 */
export const STREAMS_WAITING_MAX = 2_000
/**
 * Clients wait thirty seconds for a head (R18); what is left of it is for the answer. Beyond: 503.
 */
export const STREAM_WAIT_MAX_MS = 20_000
/** How often it is looked at who waited too long; nobody is looked at while nobody waits. */
export const STREAM_TICK_MS = 1_000
/**
 * What one client may have of all places while others wait: a quarter, but so many at least, as one
 * pull has a few layers at once.
 */
const CLIENT_SHARE = 0.25
const CLIENT_STREAMS_MIN = 32
/** Told in turn to those that are refused, so that they do not all come back at once. */
const RETRY_AFTER_SECONDS = [3, 6, 4, 7, 5, 8] as const

export type StreamRefusal = 'full' | 'late'

export interface StreamPlace {
  /** Gives the place to the next one. No effect the second time. */
  release(): void
}

export interface Streams {
  /**
   * Resolves with a place, at once when one is free. `client` is who shares fairly with others: an
   * address. MUST be released once the body is over. @throws RegistryError UNAVAILABLE with
   * `retryAfterSeconds`; the signal's reason, when it aborts first
   */
  take(client: string, signal: AbortSignal): Promise<StreamPlace>
  /** A place, if there is one to be had without asking anybody and waiting. As for `take`. */
  takeNow(client: string): StreamPlace | undefined
}

/** Those of the process. */
export interface AllStreams extends Streams {
  /** Another thread has given a place back, or is no more. */
  freed(): void
  /**
   * What a thread holds of places that it took by itself, by client: for as long as others wait, so
   * that shares are fair.
   */
  othersHold(thread: unknown, held: ReadonlyMap<string, number>): void
  /** Tells `counts` how it is now: what other threads take and give back is not told of. */
  recount(): void
}

export interface StreamsNotes {
  /** Bodies being sent, and requests waiting, changed to these. */
  counts(active: number, waiting: number): void
  /** A request that had to wait got its place. */
  waited(ms: number): void
  refused(reason: StreamRefusal): void
  /** So many have been waiting for a while; called about once a second for as long as any do. */
  stillWaiting(waiting: number): void
}

export interface StreamsOptions {
  /** Places, at least 1. */
  readonly limit: number
  /** What counts them. Default: this thread alone. */
  readonly room?: StreamsRoom
  readonly clock: Clock
  readonly note: StreamsNotes
}

interface Waiting {
  readonly sinceMs: number
  readonly enter: () => void
  readonly refuse: (reason: StreamRefusal) => void
}

export function createStreams({
  limit,
  room = createStreamsRoom({ limit }),
  clock,
  note,
}: StreamsOptions): AllStreams {
  const queue = createFairQueue<Waiting>()
  const activeOf = new Map<string, number>()
  const heldBy = new Map<unknown, ReadonlyMap<string, number>>()
  const shareOf = Math.max(CLIENT_STREAMS_MIN, Math.floor(limit * CLIENT_SHARE))
  let refusals = 0
  let ticking = false

  const hasShare = (client: string) => {
    let has = activeOf.get(client) ?? 0
    for (const held of heldBy.values()) has += held.get(client) ?? 0
    return has >= shareOf
  }
  const tell = () => note.counts(room.taken, queue.size)

  /** The place is taken. */
  function enter(client: string): StreamPlace {
    activeOf.set(client, (activeOf.get(client) ?? 0) + 1)
    let released = false
    return {
      release() {
        if (released) return
        released = true
        leave(client)
      },
    }
  }

  function leave(client: string): void {
    const others = (activeOf.get(client) ?? 0) - 1
    if (others > 0) activeOf.set(client, others)
    else activeOf.delete(client)
    const next = queue.next(hasShare)
    if (next === undefined) room.give()
    else next.enter()
    room.setWaitedFor(queue.size > 0)
    tell()
  }

  /** Who waits gets what is free. */
  function admit(): void {
    while (queue.size > 0 && room.take()) queue.next(hasShare)?.enter()
    room.setWaitedFor(queue.size > 0)
  }

  function refuse(reason: StreamRefusal): RegistryError {
    note.refused(reason)
    refusals += 1
    return refusal(reason, RETRY_AFTER_SECONDS[refusals % RETRY_AFTER_SECONDS.length])
  }

  function wait(client: string, signal: AbortSignal): Promise<StreamPlace> {
    const sinceMs = clock.monotonicMs()
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        sinceMs,
        enter: () => {
          signal.removeEventListener('abort', giveUp)
          note.waited(clock.monotonicMs() - sinceMs)
          resolve(enter(client))
        },
        refuse: reason => {
          signal.removeEventListener('abort', giveUp)
          reject(refuse(reason))
        },
      }
      const giveUp = () => {
        queue.remove(client, entry)
        room.setWaitedFor(queue.size > 0)
        tell()
        reject(signal.reason)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      // What others held when somebody waited the last time may be given back since; they tell anew
      // while this one waits.
      if (queue.size === 0) heldBy.clear()
      queue.add(client, entry)
      room.setWaitedFor(true)
      admit()
      tell()
      if (!ticking) void tick()
    })
  }

  async function tick(): Promise<void> {
    ticking = true
    while (queue.size > 0) {
      await clock.sleep(STREAM_TICK_MS)
      const nowMs = clock.monotonicMs()
      for (const [client, entry] of queue.entries()) {
        if (nowMs - entry.sinceMs < STREAM_WAIT_MAX_MS) continue
        queue.remove(client, entry)
        entry.refuse('late')
      }
      admit()
      tell()
      if (queue.size > 0) note.stillWaiting(queue.size)
    }
    ticking = false
  }

  function takeNow(client: string): StreamPlace | undefined {
    if (queue.size > 0 || !room.take()) return undefined
    const place = enter(client)
    tell()
    return place
  }

  return {
    takeNow,
    async take(client, signal) {
      signal.throwIfAborted()
      const place = takeNow(client)
      if (place !== undefined) return place
      if (queue.size >= STREAMS_WAITING_MAX) {
        const displaced = queue.displace(client)
        if (displaced === undefined) throw refuse('full')
        displaced.refuse('full')
      }
      return wait(client, signal)
    },
    freed() {
      admit()
      tell()
    },
    othersHold(thread, held) {
      if (held.size === 0) heldBy.delete(thread)
      else heldBy.set(thread, held)
    },
    recount: tell,
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

function refusal(reason: StreamRefusal, retryAfterSeconds = 5): RegistryError {
  const why =
    reason === 'full'
      ? 'and too many requests wait for their turn'
      : `and no turn came for this request in ${STREAM_WAIT_MAX_MS / 1000} seconds`
  return new RegistryError(
    'UNAVAILABLE',
    `this registry sends as many blobs as it can at once, ${why}; try again`,
    { retryAfterSeconds, cause: new StreamsFullError() },
  )
}
