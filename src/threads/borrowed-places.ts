// Places among the bodies that are sent, for an HTTP thread: the coordinating thread has them.
import type { Peer } from './peer.ts'
import type { CoordinatorSide, HttpThreadSide } from './sides.ts'

export interface BorrowedPlaces {
  /** As Streams.take. */
  take(client: string, signal: AbortSignal): Promise<{ release(): void }>
}

export function borrowPlaces(peer: () => Peer<CoordinatorSide, HttpThreadSide>): BorrowedPlaces {
  let last = 0
  return {
    async take(client, signal) {
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
