// Places for bodies of blobs between threads: what is free an HTTP thread takes by itself; for the
// rest it asks the coordinating thread, which has the waiting room. Both ends of it.
import type { Handlers } from './other-thread.ts'
import type { CoordinatorThread, PlacesSide } from './sides.ts'

interface Place {
  release(): void
}

/** Of this thread; as FreePlaces of the data port. */
interface FreePlaces {
  readonly isWaitedFor: boolean
  readonly held: ReadonlyMap<string, number>
  takeNow(client: string): Place | undefined
}

/** As WaitingRoom of the data port. */
interface WaitingRoom {
  take(client: string, signal: AbortSignal): Promise<Place>
  freed(): void
  othersHold(thread: unknown, held: ReadonlyMap<string, number>): void
}

export interface BorrowedPlaces {
  /** As Places of the data port. */
  take(client: string, signal: AbortSignal): Promise<Place>
  takeNow(client: string): Place | undefined
  /** One that this thread took by itself is free again. */
  freed(): void
  /** Somebody waits: says which places this thread took by itself. */
  tellHeld(): void
}

/** For an HTTP thread. */
export function borrowPlaces(
  coordinator: () => CoordinatorThread,
  free: FreePlaces,
): BorrowedPlaces {
  let last = 0
  return {
    takeNow: client => free.takeNow(client),
    async take(client, signal) {
      signal.throwIfAborted()
      const own = free.takeNow(client)
      if (own !== undefined) return own
      last += 1
      const place = last
      try {
        await coordinator().call('takePlace', { place, client }, signal)
      } catch (error) {
        // Who leaves while the result is under way has a place that nobody knows of.
        coordinator().notify('leavePlace', place)
        throw error
      }
      return { release: () => coordinator().notify('leavePlace', place) }
    },
    freed() {
      if (free.isWaitedFor) coordinator().notify('placeFreed', undefined)
    },
    tellHeld: () => coordinator().notify('placesHeld', free.held),
  }
}

export interface LentPlaces extends Handlers<PlacesSide> {
  /** To be called once the thread is no more, and what it counted is forgotten. */
  end(): void
}

/**
 * For the coordinating thread, towards one HTTP thread: free again when that says so or is gone.
 */
export function lendPlaces(room: WaitingRoom): LentPlaces {
  const taken = new Map<number, Place>()
  let isOver = false
  return {
    methods: {
      async takePlace({ place, client }, signal) {
        const one = await room.take(client, signal)
        if (isOver) one.release()
        else taken.set(place, one)
        return undefined
      },
    },
    notes: {
      leavePlace(place) {
        taken.get(place)?.release()
        taken.delete(place)
      },
      placeFreed: () => room.freed(),
      placesHeld: held => room.othersHold(taken, held),
    },
    end() {
      isOver = true
      for (const one of taken.values()) one.release()
      taken.clear()
      room.othersHold(taken, new Map())
      room.freed()
    },
  }
}
