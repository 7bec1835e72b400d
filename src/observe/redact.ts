// Takes secrets out of text on its way to the log (R195): user-info and signed queries of URLs.
// Fields whose very name is a secret are pino's redaction, in log.ts.

/** Text fields of the log are cut here; a client decides how long its User-Agent is. */
export const LOG_TEXT_MAX_LENGTH = 512

const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)[^/@\s"']+@/gi
// From the question mark to the end of the URL: which parameters sign it differs by store, and none
// of them helps to understand a failure.
const QUERY = /(\bhttps?:\/\/[^\s"'?]+)\?[^\s"']+/gi
const BEARER = /\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}/gi

/** `text` without credentials and URL queries, at most LOG_TEXT_MAX_LENGTH characters. */
export function redactText(text: string): string {
  return shorten(text)
    .replace(USER_INFO, '$1[redacted]@')
    .replace(QUERY, '$1?[redacted]')
    .replace(BEARER, '$1 [redacted]')
}

/** At most LOG_TEXT_MAX_LENGTH characters, an ellipsis where it was cut. */
export function shorten(text: string): string {
  return text.length <= LOG_TEXT_MAX_LENGTH ? text : `${text.slice(0, LOG_TEXT_MAX_LENGTH)}…`
}

/**
 * `reason` and `hint` of an event as fields of a log line, redacted: they may quote an upstream.
 */
export function redactReason(event: {
  readonly reason: string | undefined
  readonly hint: string | undefined
}): { readonly reason?: string; readonly hint?: string } {
  return {
    ...(event.reason === undefined ? {} : { reason: redactText(event.reason) }),
    ...(event.hint === undefined ? {} : { hint: redactText(event.hint) }),
  }
}
