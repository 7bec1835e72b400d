// Which failures are worth another try, and after how long (R149). Only what is harmless when it is
// done twice comes here: reads, and pushes of content under its digest, or of a tag that the caller
// wants there.
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { isBreakerError } from './breaker.ts'
import type { Deadline } from '../connect/deadline.ts'
import { isCertificateFault, isStaleConnection } from '../connect/errors.ts'
import { isNotRegistry } from '../connect/not-a-registry.ts'

/**
 * Waits of about 1, 2 and 4 s: long enough for a restart behind a load balancer, and within the
 * chain's limit.
 */
const BACK_OFF_MS = [1_000, 2_000, 4_000]
/** A longer Retry-After is for the breaker and the client: nobody waits here for it. */
const RETRY_AFTER_WAIT_MAX_MS = 10_000
/** With less time than this after the wait, another try is not begun. */
const ATTEMPT_MIN_MS = 1_000

export interface RetryOptions {
  readonly clock: Clock
  readonly deadline: Deadline
  /** In [0, 1). */
  readonly random: () => number
  /** Failures that would pass, but not for this caller. Default: none. */
  readonly isFinal?: ((failure: UpstreamError) => boolean) | undefined
}

/**
 * Runs `attempt` until it succeeds, or fails in a way or at a time that another try cannot mend.
 */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, deadline, random, isFinal = () => false } = options
  let reconnected = false
  for (let tries = 0; ; ) {
    let failure: UpstreamError
    try {
      return await attempt()
    } catch (error) {
      if (deadline.signal.aborted) throw deadline.signal.reason
      if (!(error instanceof UpstreamError)) throw error
      failure = error
    }
    if (isFinal(failure)) throw failure
    if (isStaleConnection(failure) && !reconnected) {
      reconnected = true
      continue
    }
    const waitMs = backOffMs(failure, tries, random)
    if (waitMs === undefined || waitMs + ATTEMPT_MIN_MS > deadline.leftMs()) throw failure
    tries += 1
    await clock.sleep(waitMs, deadline.signal)
  }
}

/** Undefined when there is to be no further try. */
function backOffMs(
  failure: UpstreamError,
  tries: number,
  random: () => number,
): number | undefined {
  const base = BACK_OFF_MS[tries]
  if (base === undefined || !mayPass(failure)) return undefined
  const namedMs = failure.retryAfterMs ?? 0
  if (namedMs > RETRY_AFTER_WAIT_MAX_MS) return undefined
  // From half to one and a half times: clients that failed together do not come back together.
  return Math.max(namedMs, base * (0.5 + random()))
}

function mayPass(failure: UpstreamError): boolean {
  return (
    (failure.failure === 'unavailable' || failure.failure === 'rate-limited') &&
    !isCertificateFault(failure) &&
    !isBreakerError(failure) &&
    !isNotRegistry(failure)
  )
}
