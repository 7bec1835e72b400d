// How long an entry that failed waits for its next attempt.

/** Longer than a restart behind a load balancer takes; the first failures are mostly that. */
const FIRST_MS = 1_000
/**
 * A link that comes back is used within this, and a thousand repositories that wait ask three times
 * a second.
 */
const LONGEST_MS = 5 * 60_000
/** Doubling further changes nothing any more. */
const DOUBLINGS_MAX = 16
/** Past this the other side's wish counts no more: rate limits are by the minute or the hour. */
export const LONGEST_WAIT_MS = 60 * 60_000

export interface BackOff {
  /** That failed, this one included; at least 1. */
  readonly attempts: number
  readonly retryAfterMs: number | undefined
  /** In [0, 1). */
  readonly random: number
}

/**
 * Whole milliseconds. What failed together does not come back together: it is the half to the whole
 * of the nominal time.
 */
export function backOffMs({ attempts, retryAfterMs = 0, random }: BackOff): number {
  const nominalMs = FIRST_MS * 2 ** Math.min(attempts - 1, DOUBLINGS_MAX)
  const ownMs = Math.min(nominalMs, LONGEST_MS) * (0.5 + random / 2)
  // Not before the time that was asked for, and up to a tenth later.
  const askedMs = retryAfterMs * (1 + random / 10)
  return Math.ceil(Math.min(Math.max(ownMs, askedMs), LONGEST_WAIT_MS))
}
