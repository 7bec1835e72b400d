// The places among the bodies that are sent, as one HTTP thread has them of the waiting room: free
// again when that thread says so or is gone.
import type { Duties } from './peer.ts'
import type { PlacesSide } from './sides.ts'

interface Place {
  release(): void
}

/** As `AllStreams` of the data port. */
interface Places {
  take(client: string, signal: AbortSignal): Promise<Place>
  freed(): void
  othersHold(thread: unknown, held: ReadonlyMap<string, number>): void
}

export interface LentPlaces extends Duties<PlacesSide> {
  /** To be called once the thread is no more, and what it counted is forgotten. */
  end(): void
}

export function lendPlaces(places: Places): LentPlaces {
  const taken = new Map<number, Place>()
  let isOver = false
  return {
    services: {
      async takePlace({ place, client }, signal) {
        const one = await places.take(client, signal)
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
      placeFreed: () => places.freed(),
      placesHeld: held => places.othersHold(taken, held),
    },
    end() {
      isOver = true
      for (const one of taken.values()) one.release()
      taken.clear()
      places.othersHold(taken, new Map())
      places.freed()
    },
  }
}
