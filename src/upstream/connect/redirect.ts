// Redirects, followed by hand (R145): each hop is checked, and credentials stay behind when the
// host changes. Targets are never remembered: signed ones are bound to a method and a few minutes
// (R146).
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { ExchangeResponse } from './exchange.ts'

/** A registry, a regional front end, its storage; more than twice that is a loop. */
export const REDIRECTS_MAX = 5

const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308])

/**
 * Where `response` leads, or undefined when it is no redirect. The address itself is checked when
 * it is connected to.
 * @throws UpstreamError invalid for a missing or malformed Location; refused for one that leaves
 * https
 */
export function redirectTarget(response: ExchangeResponse): URL | undefined {
  if (!REDIRECT_STATUS.has(response.status)) return undefined
  const from = response.url
  const location = response.headers.first('location')
  const target =
    location !== undefined && URL.canParse(location, from.href)
      ? new URL(location, from)
      : undefined
  return followable(target, from, 'redirects')
}

/**
 * `target` without its fragment, when it may be followed from `from`; undefined stands for one that
 * is malformed. `leads` is for the message: what the response does.
 * @throws UpstreamError as redirectTarget
 */
export function followable(target: URL | undefined, from: URL, leads: string): URL {
  if (target === undefined) {
    throw new UpstreamError('invalid', `${from.host} ${leads} to nowhere`)
  }
  target.hash = ''
  if (target.username !== '' || target.password !== '') {
    throw new UpstreamError(
      'refused',
      `${from.host} ${leads} to a URL with a user: ${redactUrl(target)}`,
    )
  }
  const staysSafe =
    target.protocol === 'https:' || (target.protocol === 'http:' && from.protocol === 'http:')
  if (!staysSafe) {
    throw new UpstreamError(
      'refused',
      `${from.host} ${leads} away from https to ${target.protocol}//${target.host}`,
    )
  }
  return target
}

/** Scheme, host and port. */
export function isSameOrigin(a: URL, b: URL): boolean {
  return a.origin === b.origin
}

/**
 * What may be said of a URL in logs and errors: where it leads, never what it carries (R195).
 * Signed storage URLs have their signature in the query, configured ones may have user-info.
 * Scheme, host, port and path.
 */
export function redactUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}
