// Retry-After (RFC 9110 §10.2.3): seconds or a date.

/**
 * Longer than this, an upstream is asked again anyway: a mistaken date must not switch it off for
 * days.
 */
export const RETRY_AFTER_MAX_MS = 60 * 60 * 1000

/**
 * At least 0 and at most RETRY_AFTER_MAX_MS; undefined when the header is missing or makes no
 * sense.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const waitMs = /^[0-9]{1,10}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(waitMs) ? undefined : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, waitMs))
}
