// One request's place among the bodies that are sent: waited for before anything of the blob is
// opened or asked for, given back when the answer is over, however it ends.
import type { ServerResponse } from 'node:http'
import { NOT_NEEDED } from '../../async/aborting.ts'
import type { Exchange } from '../exchange.ts'
import type { Place } from './free-places.ts'
import type { Places } from './waiting-room.ts'

/**
 * `gone`: the client left while it waited, and nothing is to be sent.
 * @throws RegistryError UNAVAILABLE when no place came
 */
export type TakePlace = (exchange: Exchange) => Promise<'taken' | 'gone'>

/** For `client`, an address. `none`: none can be had at once. */
export type TakePlaceNow = (
  response: ServerResponse,
  client: string | undefined,
) => 'taken' | 'none'

/** Of connections that ended before anybody asked for their address. */
const NOBODY = ''

export function createTakePlace(places: Places): TakePlace {
  return ({ response, caller }) => takePlace(response, caller.address ?? NOBODY, places)
}

export function createTakePlaceNow(places: Places): TakePlaceNow {
  return (response, client = NOBODY) => {
    // Its `close` has been: it would never give the place back.
    if (response.destroyed) return 'none'
    const place = places.takeNow(client)
    if (place === undefined) return 'none'
    releaseWith(response, place)
    return 'taken'
  }
}

async function takePlace(
  response: ServerResponse,
  client: string,
  places: Places,
): Promise<'taken' | 'gone'> {
  if (response.destroyed) return 'gone'
  const leaving = new AbortController()
  const leave = () => leaving.abort(NOT_NEEDED)
  response.once('close', leave)
  const taking = places.take(client, leaving.signal)
  const place = await taking.catch((error: unknown) => {
    response.off('close', leave)
    if (leaving.signal.aborted) return undefined
    throw error
  })
  if (place === undefined) return 'gone'
  if (leaving.signal.aborted) {
    place.release()
    return 'gone'
  }
  releaseWith(response, place)
  return 'taken'
}

/** It closes after the last byte went to the kernel, and after a connection that broke. */
function releaseWith(response: ServerResponse, place: Place): void {
  response.once('close', () => place.release())
}
