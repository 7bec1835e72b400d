// How many uploads may be begun and not finished, in all and by one client, how many may be open,
// and when one that was begun in vain may go for another (R274).
import type { Upload } from './upload.ts'

/**
 * Each is two files that are read at every start. Far more than push at once: beyond this clients
 * begin and never finish.
 */
export const UPLOADS_MAX = 10_000
/**
 * Of one client: a quarter, so that nobody who begins and never finishes keeps the others from
 * pushing.
 */
export const UPLOADS_CLIENT_MAX = 2_500
/** A descriptor and a buffer each; a few dozen clients push half a dozen blobs at a time. */
export const UPLOADS_OPEN_MAX = 256

/**
 * Where there are too many, one that has no byte after this time goes for another: clients send the
 * first within seconds.
 */
export const VAIN_AFTER_MS = 600_000

export interface Crowd {
  /** Oldest first. */
  readonly uploads: readonly Upload[]
  readonly limit: number
}

/**
 * Those of which one must go before another begins; undefined when there is place. `client` as in
 * the note.
 */
export function crowdBefore(
  uploads: readonly Upload[],
  client: string | undefined,
): Crowd | undefined {
  if (uploads.length >= UPLOADS_MAX) return { uploads, limit: UPLOADS_MAX }
  if (client === undefined) return undefined
  const theirs = uploads.filter(({ note }) => note?.client === client)
  return theirs.length < UPLOADS_CLIENT_MAX
    ? undefined
    : { uploads: theirs, limit: UPLOADS_CLIENT_MAX }
}
