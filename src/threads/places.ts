// Places for bodies of blobs between threads: what is free an HTTP thread takes by itself; for the
// rest it asks the coordinating thread, which has the waiting room. Both ends of it.
import type { FreePlaces, Place } from '../http/places/free-places.ts'
import type { Places, WaitingRoom } from '../http/places/waiting-room.ts'
import type { Handlers } from './other-thread.ts'
import type { CoordinatorThread, PlacesSide } from './sides.ts'

export interface BorrowedPlaces extends Places {
  /** One that this thread took by itself is free again. */
  freed(): void
  /** Somebody waits: says which places this thread took by itself. */
  tellHeld(): void
}

/** For an HTTP thread; `free`: those of this thread. */
export function borrowPlaces(
  coordinator: () => CoordinatorThread,
  free: Pick<FreePlaces, 'isWaitedFor' | 'held' | 'takeNow'>,
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
export function lendPlaces(room: Pick<WaitingRoom, 'take' | 'freed' | 'othersHold'>): LentPlaces {
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
