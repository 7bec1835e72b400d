// Whoever answers to a made-up name can send a byte now and then for as long as it likes: a fill of a registry that does not share goes on
// only while somebody reads it and it brings something. Its part stays, and whoever comes later goes on with that.
import type { Clock } from '../ports/clock.ts'
import { SLOWEST_BYTES_PER_SECOND } from './fill-rules.ts'

/** Longer than the pauses between attempts, and than a client that reads by ranges takes from one to the next. */
export const LOOK_EVERY_MS = 30_000
/** No line of a site is as slow for so long; what is slower is no use to clients either, who time out. */
export const LEAST_BYTES = (SLOWEST_BYTES_PER_SECOND * LOOK_EVERY_MS) / 1000

/** Its readers go to the upstream themselves, as slowly as that is. */
export class TooSlow extends Error {
  constructor() {
    super('the upstream sends less than is worth waiting for')
    this.name = 'TooSlow'
  }
}

export interface Watched {
  /** All that came so far. */
  readonly broughtBytes: () => number
  /** Also what nobody has asked for yet counts. */
  readonly isRead: () => boolean
  /** Before its length is known, whoever waits for the blob waits for that and is not seen to read. */
  readonly isSized: () => boolean
}

/** Resolves to why the fill is to end. Rejects with the signal's reason. */
export async function slowOrUnread(
  { broughtBytes, isRead, isSized }: Watched,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<Error> {
  for (;;) {
    const beforeBytes = broughtBytes()
    await clock.sleep(LOOK_EVERY_MS, signal)
    if (!isSized()) continue
    if (!isRead()) return new Error('nobody reads the blob any more')
    if (broughtBytes() - beforeBytes < LEAST_BYTES) return new TooSlow()
  }
}
