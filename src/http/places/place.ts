// One request's place among the bodies that are sent: waited for before anything of the blob is
// opened or asked for, given back when the answer is over, however it ends.
import type { ServerResponse } from 'node:http'
import { NOT_NEEDED } from '../../async/aborting.ts'
import type { Exchange } from '../exchange.ts'
import { clientOf } from '../principal.ts'
import type { Place } from './free-places.ts'
import type { Places } from './waiting-room.ts'

/**
 * `gone`: the client left while it waited, and nothing is to be sent.
 * @throws RegistryError UNAVAILABLE when no place came
 */
export type TakePlace = (exchange: Exchange) => Promise<'taken' | 'gone'>

/** `none`: none can be had at once. */
export type TakePlaceNow = (response: ServerResponse) => 'taken' | 'none'

/** Of connections that ended before anybody asked for their address. */
const NOBODY = ''

export function createTakePlace(places: Places): TakePlace {
  return ({ response }) => takePlace(response, places)
}

export function createTakePlaceNow(places: Places): TakePlaceNow {
  return response => {
    // Its `close` has been: it would never give the place back.
    if (response.destroyed) return 'none'
    const place = places.takeNow(clientOf(response.req) ?? NOBODY)
    if (place === undefined) return 'none'
    releaseWith(response, place)
    return 'taken'
  }
}

async function takePlace(response: ServerResponse, places: Places): Promise<'taken' | 'gone'> {
  if (response.destroyed) return 'gone'
  const leaving = new AbortController()
  const leave = () => leaving.abort(NOT_NEEDED)
  response.once('close', leave)
  const taking = places.take(clientOf(response.req) ?? NOBODY, leaving.signal)
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
