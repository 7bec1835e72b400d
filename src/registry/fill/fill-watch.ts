// Why a fill is ended before its time: it takes far longer than its size explains, or, of a
// registry that does not share, nobody reads it or it brings next to nothing. Whoever answers to a
// made-up name can send a byte now and then for as long as it likes; the part stays, and whoever
// comes later goes on with it. What may happen to any download is no reason: of one that is ended
// for its slowness each reader makes a download of its own.
import type { FillProgress } from './fill-progress.ts'
import type { Clock } from '../ports/clock.ts'
import { UpstreamError } from '../ports/upstream.ts'

/**
 * A fill ends by this plus what its size takes at SLOWEST_BYTES_PER_SECOND: slow links are served,
 * dead ones do not pile up.
 */
const DEADLINE_BASE_MS = 15 * 60_000
const SLOWEST_BYTES_PER_SECOND = 16 * 1024

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
export type EndReason = 'overdue' | 'slow' | 'unread'

export interface Watched {
  readonly progress: FillProgress
  /** What a manifest says of its length. */
  readonly declaredBytes: number | undefined
  /** It is of a registry that does not share. */
  readonly isApart: boolean
  /** Also what no client has asked for yet counts. */
  readonly isRead: () => boolean
  /**
   * How many fills have the edge's link between them; each needs to bring no more than its part.
   */
  readonly underWay: () => number
}

type WatchClock = Pick<Clock, 'sleep' | 'monotonicMs'>

/** Resolves to why the fill is to end. Rejects with the signal's reason. */
export function watchFill(
  watched: Watched,
  clock: WatchClock,
  signal: AbortSignal,
): Promise<EndReason> {
  const late = overdue(watched, clock, signal)
  return watched.isApart ? Promise.race([late, slowOrUnread(watched, clock, signal)]) : late
}

/** How long a blob of this length may take, pauses included. */
export function deadlineMs(sizeBytes: number): number {
  return DEADLINE_BASE_MS + (sizeBytes / SLOWEST_BYTES_PER_SECOND) * 1000
}

async function overdue(
  { progress, declaredBytes }: Watched,
  clock: WatchClock,
  signal: AbortSignal,
): Promise<'overdue'> {
  const startedMs = clock.monotonicMs()
  for (;;) {
    // What is believed now: it is asked again and again, since what was said first may be wrong.
    const sizeBytes = progress.sizeBytes ?? declaredBytes ?? progress.contiguousBytes
    const leftMs = startedMs + deadlineMs(sizeBytes) - clock.monotonicMs()
    if (leftMs <= 0) return 'overdue'
    await clock.sleep(Math.min(leftMs, DEADLINE_BASE_MS), signal)
  }
}

async function slowOrUnread(
  { progress, isRead, underWay }: Watched,
  clock: WatchClock,
  signal: AbortSignal,
): Promise<'slow' | 'unread'> {
  let behindLooks = 0
  for (;;) {
    // All that the upstream has sent, also what was here already and is compared with it.
    const beforeBytes = progress.receivedBytes
    await clock.sleep(LOOK_EVERY_MS, signal)
    // Before its length is known, whoever waits for the blob waits for that and is not seen to
    // read.
    if (progress.sizeBytes === undefined) continue
    if (!isRead()) return 'unread'
    const leastBytes = LEAST_BYTES / Math.max(1, underWay())
    // The sum, and not each look: else a little now and then, between looks that bring nothing,
    // would be enough.
    const broughtLooks = (progress.receivedBytes - beforeBytes) / leastBytes
    behindLooks = Math.max(0, behindLooks + 1 - broughtLooks)
    if (behindLooks >= SLOW_LOOKS_MAX) return 'slow'
  }
}

const ENDINGS = {
  overdue: {
    message: 'the fill took longer than its deadline',
    hint: 'the upstream, or the line to it, is too slow; what came is kept, and whoever asks next goes on with it',
  },
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
export function endedFor(reason: EndReason): UpstreamError {
  const { message, hint } = ENDINGS[reason]
  return new UpstreamError('unavailable', message, { hint })
}
