// What in a request's headers says that a browser made it, or that somebody wants to be known by name. A page can aim the browser of
// whoever reads it at addresses that it could not reach itself; it cannot take these headers away.

/** Browsers alone send them. */
const BROWSERS: ReadonlySet<string> = new Set([
  'origin',
  'upgrade-insecure-requests',
  'access-control-request-method',
  'access-control-request-headers',
])
/** No page may set headers of this kind, and no program has a reason to. */
const BROWSERS_PREFIX = 'sec-'
/** All browsers, and the web clients of Windows, which name themselves in the same value. */
const BROWSERS_AGENT = 'Mozilla/'
const NO_BROWSERS_AGENT = 'PowerShell'

/**
 * The name of the first header that a browser sent. Node's own fetch sends two of theirs as none of them does, a `Sec-Fetch-Mode` without
 * its companions and a wish for any language, and is a program.
 */
export function browserMark(rawHeaders: readonly string[]): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    if (name === 'sec-fetch-mode' && !hasCompanions(rawHeaders)) continue
    if (BROWSERS.has(name) || name.startsWith(BROWSERS_PREFIX)) return name
    const value = rawHeaders[at + 1] ?? ''
    if (name === 'accept-language' && value !== '*') return name
    if (name === 'user-agent' && isBrowsersAgent(value)) return name
  }
  return undefined
}

/** A browser sends where to, how and for what at once, or nothing of it. */
function hasCompanions(rawHeaders: readonly string[]): boolean {
  const count = rawHeaders.filter((name, at) => at % 2 === 0 && /^sec-/i.test(name)).length
  return count > 1
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

/** Could this header be one that these functions look for? For those who look at most requests without looking closely. */
export function mayBeMark(name: string): boolean {
  const lower = name.toLowerCase()
  return (
    BROWSERS.has(lower) ||
    lower.startsWith(BROWSERS_PREFIX) ||
    lower === 'accept-language' ||
    lower === CREDENTIALS
  )
}
