// One request's place among the bodies that are sent: waited for before anything of the blob is
// opened or asked for, given back when the answer is over, however it ends.
import { NOT_NEEDED } from '../../async/aborting.ts'
import { type Exchange, takenBytes } from '../exchange.ts'
import { clientOf } from '../principal.ts'
import type { Reader, StalledReaders } from './stalled-readers.ts'
import type { Places } from './waiting-room.ts'

/**
 * `gone`: the client left while it waited, and nothing is to be sent.
 * @throws RegistryError UNAVAILABLE when no place came
 */
export type TakePlace = (exchange: Exchange) => Promise<'taken' | 'gone'>

/**
 * For whoever sends by itself.
 * @returns gives the place back; undefined when none can be had at once
 */
export type TakePlaceNow = (client: string | undefined, reader: Reader) => (() => void) | undefined

/** Of connections that ended before anybody asked for their address. */
const NOBODY = ''

export function createTakePlace(places: Places, stalled: StalledReaders): TakePlace {
  return exchange => takePlace(exchange, places, stalled)
}

export function createTakePlaceNow(places: Places, stalled: StalledReaders): TakePlaceNow {
  return (client, reader) => {
    const place = places.takeNow(client ?? NOBODY)
    if (place === undefined) return undefined
    const unwatch = stalled.watch(reader)
    return () => {
      unwatch()
      place.release()
    }
  }
}

async function takePlace(
  exchange: Exchange,
  places: Places,
  stalled: StalledReaders,
): Promise<'taken' | 'gone'> {
  const { request, response } = exchange
  if (response.destroyed) return 'gone'
  const leaving = new AbortController()
  const leave = () => leaving.abort(NOT_NEEDED)
  response.once('close', leave)
  const taking = places.take(clientOf(request) ?? NOBODY, leaving.signal)
  const place = await taking.catch((error: unknown) => {
    response.off('close', leave)
    if (leaving.signal.aborted) return undefined
    throw error
  })
  if (place === undefined) return 'gone'
  const unwatch = stalled.watch({ taken: () => takenBytes(exchange), cut: () => cut(exchange) })
  const release = () => {
    unwatch()
    place.release()
  }
  // It comes after the last byte went to the kernel, and after a connection that broke.
  if (leaving.signal.aborted) release()
  else response.once('close', release)
  return leaving.signal.aborted ? 'gone' : 'taken'
}

export function tookNothing(): Error {
  return new Error('the client took nothing for a while, and others waited for its place')
}

function cut({ response, record }: Exchange): void {
  record.error = tookNothing()
  record.cut = true
  response.destroy()
}
