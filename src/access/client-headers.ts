// The headers that registry clients send by themselves. The list is closed: what is not on it says
// that somebody else had a hand in the request, who may be passing it on for a stranger. Recorded
// from real clients (test/kit/clients/recorded-headers.json, which a test holds this list against).
// Authorization is not on it: who shows it is whom it names, and has no rights by being here. Only
// a token of nobody's names nobody (locals.ts).

export const SENT_BY_CLIENTS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  // dockerd's, of what a push was begun by.
  'baggage',
  'connection',
  'content-length',
  'content-range',
  'content-type',
  'docker-distribution-api-version',
  'expect',
  'host',
  // BuildKit's, of every request of a build.
  'traceparent',
  'transfer-encoding',
  'user-agent',
])

/**
 * What they send beside with pulls, which goes on with half a blob or asks whether a copy is still
 * good. No write has it.
 */
export const SENT_WITH_PULLS: ReadonlySet<string> = new Set([
  'cache-control',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'pragma',
  'range',
])

/** What they send beside, writes too, who show a token. */
export const SENT_WITH_TOKENS: ReadonlySet<string> = new Set(['authorization'])

/** What they send beside with pulls who may have logged in. */
export const SENT_WITH_LOGINS: ReadonlySet<string> = new Set([
  ...SENT_WITH_TOKENS,
  ...SENT_WITH_PULLS,
])

/** The first header that no client sends by itself, in lower case; not one `known` beside. */
export function unusualHeader(
  rawHeaders: readonly string[],
  known?: ReadonlySet<string>,
): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    if (!SENT_BY_CLIENTS.has(name) && known?.has(name) !== true) return name
  }
  return undefined
}
