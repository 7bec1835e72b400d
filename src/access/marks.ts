// What in a request's headers says that a browser made it, or that somebody wants to be known by
// name. A page can aim the browser of whoever reads it at addresses that it could not reach itself.
// It may choose the values of some of these headers, `User-Agent` and `Accept-Language` in some
// browsers, and takes none of them away.

/** Browsers alone send them. */
const BROWSERS: ReadonlySet<string> = new Set([
  'origin',
  'upgrade-insecure-requests',
  'priority',
  'access-control-request-method',
  'access-control-request-headers',
])
/** No page may set headers of this kind, and no program has a reason to. */
const BROWSERS_PREFIX = 'sec-'
/** Browsers send it always, with a value that a page may choose. */
const LANGUAGE = 'accept-language'
const ANY_LANGUAGE = '*'
/** All browsers, and the web clients of Windows, which name themselves in the same value. */
const BROWSERS_AGENT = 'Mozilla/'
const NO_BROWSERS_AGENT = 'PowerShell'

/**
 * The name of the first header that a browser sent. Node's own fetch sends two of theirs as none of
 * them does, a `Sec-Fetch-Mode` without its companions and beside it a wish for any language, and
 * is a program. No page can imitate that: it sets no header of this kind.
 */
export function browserMark(rawHeaders: readonly string[]): string | undefined {
  const isByNode = hasLoneMode(rawHeaders)
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    const value = rawHeaders[at + 1] ?? ''
    if (isByNode && (name === MODE || (name === LANGUAGE && value === ANY_LANGUAGE))) continue
    if (BROWSERS.has(name) || name === LANGUAGE || name.startsWith(BROWSERS_PREFIX)) return name
    if (name === 'user-agent' && isBrowsersAgent(value)) return name
  }
  return undefined
}

const MODE = 'sec-fetch-mode'

/** A browser sends where to, how and for what at once, or nothing of it. */
function hasLoneMode(rawHeaders: readonly string[]): boolean {
  const ofKind = rawHeaders.filter((name, at) => at % 2 === 0 && /^sec-/i.test(name))
  return ofKind.length === 1 && ofKind[0]?.toLowerCase() === MODE
}

export function isBrowsersAgent(value: string): boolean {
  return value.startsWith(BROWSERS_AGENT) && !value.includes(NO_BROWSERS_AGENT)
}

export function hasCredentials(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.length === CREDENTIALS.length && name.toLowerCase() === CREDENTIALS) return true
  }
  return false
}

const CREDENTIALS = 'authorization'

/**
 * Could this header be one that `browserMark` looks for? For those who look at most requests
 * without looking closely.
 */
export function mayBeMark(name: string): boolean {
  const lower = name.toLowerCase()
  return BROWSERS.has(lower) || lower.startsWith(BROWSERS_PREFIX) || lower === LANGUAGE
}
