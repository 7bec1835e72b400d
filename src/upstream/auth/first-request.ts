// The first request ever to a host tells whether it asks for tokens. What is sent to the same host
// meanwhile waits for that: ten blobs at once after a restart would be refused ten times otherwise.
import { within } from '../../async/within.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { unlessAborted } from '../../async/aborting.ts'
import { boundedCache } from '../../async/bounded-cache.ts'

/**
 * Longer than any round trip; a host that takes longer for its first response is not waited for.
 */
const LONGEST_WAIT_MS = 1_000
/** An endpoint has one; a client's redirects add some. */
const HOSTS_MAX = 256

export interface FirstRequests {
  /**
   * Resolves at once for the first request to this origin, and for all after its response.
   * @throws the signal's reason
   */
  untilAnswered(origin: string, signal: AbortSignal): Promise<void>
  /** A request was answered, or failed. No effect after the first time. */
  answered(origin: string): void
}

export function createFirstRequests(clock: Clock): FirstRequests {
  const firsts = boundedCache<'answered' | PromiseWithResolvers<void>>(HOSTS_MAX)
  return {
    untilAnswered: async (origin, signal) => {
      const first = firsts.get(origin)
      if (first === undefined) {
        firsts.set(origin, Promise.withResolvers())
        return
      }
      if (first === 'answered') return
      await within(clock, LONGEST_WAIT_MS, unlessAborted(first.promise, signal))
    },
    answered: origin => {
      const first = firsts.get(origin)
      firsts.set(origin, 'answered')
      if (first !== 'answered') first?.resolve()
    },
  }
}
