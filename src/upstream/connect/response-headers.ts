// The headers of a response as a list, in the order they came. Fields like WWW-Authenticate, Link
// and Warning may come several times, and joining or keeping the first would lose some (R140,
// R230).

export interface ResponseHeaders {
  /** The first field of that name, which MUST be lower-case. */
  first(name: string): string | undefined
  /** Every field of that name, in order. */
  all(name: string): readonly string[]
}

/** `raw` alternates names and values, as they stood on the wire. */
export function responseHeaders(raw: readonly string[]): ResponseHeaders {
  function* matching(name: string): Generator<string> {
    for (let at = 0; at + 1 < raw.length; at += 2) {
      if (raw[at]?.toLowerCase() === name) yield (raw[at + 1] ?? '').trim()
    }
  }
  return {
    first: name => matching(name).next().value ?? undefined,
    all: name => [...matching(name)],
  }
}

/** Other bytes than were asked for (R147): their length is not that of the content. */
export function isEncoded(headers: ResponseHeaders): boolean {
  const encoding = headers.first('content-encoding')?.toLowerCase() ?? 'identity'
  return encoding !== 'identity' && encoding !== ''
}

/** `Content-Length`, or undefined when it is missing or no safe integer (R187). */
export function contentLength(headers: ResponseHeaders): number | undefined {
  const text = headers.first('content-length')
  if (text === undefined || !/^[0-9]{1,16}$/.test(text)) return undefined
  const length = Number(text)
  return Number.isSafeInteger(length) ? length : undefined
}

/**
 * Longer than this, an upstream is asked again anyway: a mistaken date must not switch it off for
 * days.
 */
export const RETRY_AFTER_MAX_MS = 60 * 60 * 1000

/**
 * Retry-After (RFC 9110 §10.2.3), seconds or a date: at least 0 and at most RETRY_AFTER_MAX_MS;
 * undefined when the header is missing or makes no sense.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const waitMs = /^[0-9]{1,10}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(waitMs) ? undefined : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, waitMs))
}
