// How long a download may take, and who says when that is over.
import type { Clock } from '../ports/clock.ts'
import { UpstreamError } from '../ports/upstream.ts'

/**
 * A fill ends by this plus what its size takes at SLOWEST_BYTES_PER_SECOND: slow links are served,
 * dead ones do not pile up.
 */
const DEADLINE_BASE_MS = 15 * 60_000
export const SLOWEST_BYTES_PER_SECOND = 16 * 1024

/** How long a blob of this length may take, pauses included. */
export function deadlineMs(sizeBytes: number): number {
  return DEADLINE_BASE_MS + (sizeBytes / SLOWEST_BYTES_PER_SECOND) * 1000
}

/**
 * Resolves to why the fill is to end, once it takes far longer than its size explains. `sizeBytes`
 * is what is believed now: it is asked again and again, since what was said first may be wrong.
 * Rejects with the signal's reason.
 */
export async function overdue(
  sizeBytes: () => number,
  clock: Pick<Clock, 'sleep' | 'monotonicMs'>,
  signal: AbortSignal,
): Promise<UpstreamError> {
  const startedMs = clock.monotonicMs()
  for (;;) {
    const leftMs = startedMs + deadlineMs(sizeBytes()) - clock.monotonicMs()
    if (leftMs <= 0)
      return new UpstreamError('unavailable', 'the fill took longer than its deadline', {
        hint: 'the upstream, or the line to it, is too slow; what came is kept, and whoever asks next goes on with it',
      })
    await clock.sleep(Math.min(leftMs, DEADLINE_BASE_MS), signal)
  }
}
