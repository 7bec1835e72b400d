// Places among the bodies that are sent, for an HTTP thread: what is free it takes by itself, for
// the rest it asks the coordinating thread, which has the waiting room.
import type { Peer } from './peer.ts'
import type { CoordinatorSide, HttpThreadSide } from './sides.ts'

export interface BorrowedPlaces {
  /** As Streams.take. */
  take(client: string, signal: AbortSignal): Promise<{ release(): void }>
  /** As Streams.takeNow. */
  takeNow(client: string): { release(): void } | undefined
  /** Somebody waits: says which places this thread took by itself. */
  tellHeld(): void
}

/** As StreamsRoom, of this thread. */
interface Room {
  readonly isWaitedFor: boolean
  take(): boolean
  give(): void
}

export function borrowPlaces(
  peer: () => Peer<CoordinatorSide, HttpThreadSide>,
  room: Room,
): BorrowedPlaces {
  const held = new Map<string, number>()
  let last = 0

  function leave(client: string): void {
    const others = (held.get(client) ?? 0) - 1
    if (others > 0) held.set(client, others)
    else held.delete(client)
    room.give()
    // Looked at after it was given: who began to wait before has seen it, or is seen here.
    if (room.isWaitedFor) peer().tell('placeFreed', undefined)
  }

  function takeNow(client: string) {
    if (room.isWaitedFor || !room.take()) return undefined
    held.set(client, (held.get(client) ?? 0) + 1)
    let isLeft = false
    return {
      release() {
        if (isLeft) return
        isLeft = true
        leave(client)
      },
    }
  }

  return {
    takeNow,
    tellHeld: () => peer().tell('placesHeld', held),
    async take(client, signal) {
      signal.throwIfAborted()
      const free = takeNow(client)
      if (free !== undefined) return free
      last += 1
      const place = last
      try {
        await peer().ask('takePlace', { place, client }, signal)
      } catch (error) {
        // Who leaves while the answer is under way has a place that nobody knows of.
        peer().tell('leavePlace', place)
        throw error
      }
      return { release: () => peer().tell('leavePlace', place) }
    },
  }
}
