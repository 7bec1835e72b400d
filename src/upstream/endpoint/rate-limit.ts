// How many pulls a registry still allows, from the headers of its answers (R154): Docker Hub's
// `ratelimit-remaining: 76;w=21600`.
import type { ResponseHeaders } from '../connect/response-headers.ts'

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
