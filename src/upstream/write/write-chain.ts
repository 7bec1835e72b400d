// Writes of one namespace: to the authoritative endpoint only, never to a mirror (R151), behind its
// breaker, tried again like reads.
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { type Deadline, startDeadline } from '../connect/deadline.ts'
import type { Lane } from '../connect/dispatcher.ts'
import { isRedirectedHostFailure } from '../endpoint/failure-marks.ts'
import type { Endpoint } from '../endpoint/endpoint.ts'
import { once, type Work } from '../endpoint/endpoints.ts'
import { withRetries } from '../endpoint/retry.ts'

/** One attempt, in steps. */
export interface WriteSteps {
  readonly endpoint: Endpoint
  /**
   * A step that the breaker lets through, or not. Short: a breaker that probes lets nobody else
   * through meanwhile.
   */
  readonly begin: <T>(lane: Lane, work: Work<T>) => Promise<T>
  /** A step of what was let through before; may take hours. */
  readonly goOn: <T>(work: Work<T>) => Promise<T>
}

export interface WriteOptions {
  readonly signal: AbortSignal | undefined
  /** Which failures another attempt cannot mend, besides those of reads; default none. */
  readonly isFinal?: (failure: UpstreamError) => boolean
}

/**
 * The limit of reads is over all attempts; bodies stop it while they move.
 * @throws UpstreamError, the signal's reason, what a body throws
 */
export type Write = <T>(
  attempt: (steps: WriteSteps) => Promise<T>,
  options: WriteOptions,
) => Promise<T>

export interface WritesOptions {
  readonly endpoint: Endpoint
  readonly clock: Clock
  readonly random: () => number
  readonly chainMs: number
}

export function createWrite({ endpoint, clock, random, chainMs }: WritesOptions): Write {
  return async (attempt, { signal, isFinal }) => {
    const deadline = startDeadline(clock, chainMs, signal)
    const steps: WriteSteps = {
      endpoint,
      begin: (lane, work) => once(endpoint, work, { lane, deadline, caller: signal }),
      goOn: work => goOn(work, endpoint, { deadline, caller: signal }),
    }
    try {
      return await withRetries(() => attempt(steps), { clock, deadline, random, isFinal })
    } finally {
      deadline.end()
    }
  }
}

async function goOn<T>(
  work: Work<T>,
  endpoint: Endpoint,
  { deadline, caller }: { deadline: Deadline; caller: AbortSignal | undefined },
): Promise<T> {
  try {
    return await work(endpoint, deadline)
  } catch (error) {
    const counts =
      error instanceof UpstreamError &&
      caller?.aborted !== true &&
      !isRedirectedHostFailure(error) &&
      (error.failure === 'unavailable' || error.failure === 'rate-limited')
    if (counts) endpoint.breaker.bodyFailed(error, 'push')
    throw error
  }
}
