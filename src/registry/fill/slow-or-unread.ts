// Whoever answers to a made-up name can send a byte now and then for as long as it likes: a fill of
// a registry that does not share goes on only while somebody reads it and it brings something. Its
// part stays, and whoever comes later goes on with that. What may happen to any download is no
// reason: of one that is ended for its slowness each reader makes a download of its own.
import type { Clock } from '../ports/clock.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { SLOWEST_BYTES_PER_SECOND } from './fill-deadline.ts'

/** Longer than a client that reads by ranges takes from one to the next. */
export const LOOK_EVERY_MS = 30_000
/** Alone on its link. Less, for so long, is no use to clients either, who time out. */
export const LEAST_BYTES = (SLOWEST_BYTES_PER_SECOND * LOOK_EVERY_MS) / 1000
/**
 * So many looks' worth of LEAST_BYTES a fill may be behind: longer than it takes until attempts in
 * vain, each of which is silent until its time is up, have ended it by themselves. What it brings
 * beyond that is no credit: who was fast once may not be silent the longer.
 */
export const SLOW_LOOKS_MAX = 12

/** `slow`: its readers go to the upstream themselves, as slowly as that is. */
export type Verdict = 'slow' | 'unread'

export interface Watched {
  /** All that the upstream has sent so far, also what was here already and is compared with it. */
  readonly receivedBytes: () => number
  /** Also what nobody has asked for yet counts. */
  readonly isRead: () => boolean
  /**
   * Before its length is known, whoever waits for the blob waits for that and is not seen to read.
   */
  readonly isSized: () => boolean
  /**
   * How many fills have the edge's link between them; each needs to bring no more than its part.
   */
  readonly underWay: () => number
}

/** Resolves to why the fill is to end. Rejects with the signal's reason. */
export async function slowOrUnread(
  { receivedBytes, isRead, isSized, underWay }: Watched,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<Verdict> {
  let behindLooks = 0
  for (;;) {
    const beforeBytes = receivedBytes()
    await clock.sleep(LOOK_EVERY_MS, signal)
    if (!isSized()) continue
    if (!isRead()) return 'unread'
    const leastBytes = LEAST_BYTES / Math.max(1, underWay())
    // The sum, and not each look: else a little now and then, between looks that bring nothing,
    // would be enough.
    behindLooks = Math.max(0, behindLooks + 1 - (receivedBytes() - beforeBytes) / leastBytes)
    if (behindLooks >= SLOW_LOOKS_MAX) return 'slow'
  }
}

const TOLD = {
  slow: {
    message: 'the upstream sends less than is worth waiting for',
    hint: 'each reader goes on by itself; if the registry is one of yours, list it under upstreams without private',
  },
  unread: {
    message: 'nobody reads the blob any more',
    hint: 'nothing is to be done: what came is kept, and whoever asks next goes on with it',
  },
} as const

/** What the fill is ended with. */
export function endedFor(verdict: Verdict): UpstreamError {
  const { message, hint } = TOLD[verdict]
  return new UpstreamError('unavailable', message, { hint })
}
