// How an upstream is, for status, metrics and readiness: what its breakers say, and how many pulls
// it still allows.
import type { UpstreamHealth } from '../../registry/ports/upstream.ts'
import type { ResponseHeaders } from '../connect/response-headers.ts'
import type { Breaker } from './breaker.ts'

/**
 * As good as the best endpoint: as long as one is asked, the namespace is not cut off. `breakers`:
 * that of the registry itself last.
 */
export function healthOf(
  breakers: readonly Breaker[],
  nowMs: number,
): Omit<UpstreamHealth, 'registry' | 'credentials' | 'rateLimitRemaining'> {
  const states = breakers.map(breaker => breaker.state)
  const breaker = (['closed', 'half-open'] as const).find(state => states.includes(state)) ?? 'open'
  const findings = breakers.map(({ lastFinding }) => lastFinding)
  const waits = breakers.map(({ retryInMs }) => retryInMs ?? 0)
  return {
    breaker,
    retryAtMs: breaker === 'open' ? nowMs + Math.min(...waits) : undefined,
    lastFailure: breakers.at(-1)?.lastFailure,
    lastFinding: (['good', 'failed'] as const).find(each => findings.includes(each)),
  }
}

/**
 * How many pulls a registry still allows, from the headers of its responses (R154): Docker Hub's
 * `ratelimit-remaining: 76;w=21600`.
 */
export interface RateLimit {
  /** Reports a value only when it has changed. */
  observe(response: { readonly headers: ResponseHeaders; readonly url: URL }): void
  /** The last value seen; undefined when the registry sends none. */
  remaining(): number | undefined
}

/** Answers of other hosts than `registry` are left aside. */
export function createRateLimit(
  header: string,
  registry: URL,
  onChange: (remaining: number) => void,
): RateLimit {
  let remaining: number | undefined
  return {
    observe: ({ headers, url }) => {
      if (url.origin !== registry.origin) return
      const match = /^[ \t]*([0-9]{1,9})(?:[ \t]*;|[ \t]*$)/.exec(headers.first(header) ?? '')
      if (match === null || Number(match[1]) === remaining) return
      remaining = Number(match[1])
      onChange(remaining)
    },
    remaining: () => remaining,
  }
}
