// The places among the bodies that are sent, as one HTTP thread has them: counted in the coordinating thread for all, and free again
// when that thread says so or is gone.
import type { Duties } from './peer.ts'
import type { PlacesSide } from './sides.ts'

interface Place {
  release(): void
}

/** As `Streams` of the data port. */
interface Places {
  take(client: string, signal: AbortSignal): Promise<Place>
}

export interface LentPlaces extends Duties<PlacesSide> {
  /** To be called once the thread is no more. */
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
    },
    end() {
      isOver = true
      for (const one of taken.values()) one.release()
      taken.clear()
    },
  }
}
