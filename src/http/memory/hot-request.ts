// What an answer from memory depends on, read from the raw headers alone: node makes its other ones
// when somebody asks for them, and for these requests nobody does. What is unusual in any way goes
// the way on which everything is looked at.
import type { IncomingMessage } from 'node:http'
import { isBrowsersAgent, mayBeMark } from '../../access/marks.ts'
import type { Caller } from '../proxies/callers.ts'

export interface HotRequest {
  /** The same for requests that are answered alike. */
  readonly key: string
  /** The header's value; whether it may be used is `RequestIdOf`'s. */
  readonly requestId: string | undefined
  readonly userAgent: string | undefined
}

/** Without a repository no endpoint has content, and pings need no memory. */
const SHORTEST_TARGET = '/v2/a/blobs/'.length
/** Longer keys are mostly queries that nobody sends twice. */
const KEY_MAX_LENGTH = 2_048

/**
 * Undefined for what is not to be answered from memory: other methods and versions of HTTP, bodies,
 * ranges, headers that came twice where one was expected, and what `Access.admit` may refuse.
 */
export function readHotRequest(
  request: IncomingMessage,
  { host: called }: Pick<Caller, 'host'>,
): HotRequest | undefined {
  const { method, url = '', rawHeaders } = request
  if (method !== 'GET' && method !== 'HEAD') return undefined
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor !== 1) return undefined
  if (url.length < SHORTEST_TARGET) return undefined
  const found = readHeaders(rawHeaders)
  if (found === undefined) return undefined
  const { host, accept, ifNoneMatch, requestId, userAgent } = found
  if (userAgent !== undefined && isBrowsersAgent(userAgent)) return undefined
  // Header values hold no line breaks, and absence differs from an empty value.
  const key = `${method} ${url}\n${text(called ?? host)}\n${text(accept)}\n${text(ifNoneMatch)}`
  return key.length > KEY_MAX_LENGTH ? undefined : { key, requestId, userAgent }
}

interface Headers {
  host: string | undefined
  accept: string | undefined
  ifNoneMatch: string | undefined
  requestId: string | undefined
  userAgent: string | undefined
}

function readHeaders(rawHeaders: readonly string[]): Headers | undefined {
  const found: Headers = {
    host: undefined,
    accept: undefined,
    ifNoneMatch: undefined,
    requestId: undefined,
    userAgent: undefined,
  }
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const field = fieldOf(name)
    if (field === undefined) {
      if (mayBeMark(name)) return undefined
      continue
    }
    if (field === 'unusual' || found[field] !== undefined) return undefined
    found[field] = rawHeaders[at + 1]
  }
  return found
}

/** By length first: most headers are none of these. */
function fieldOf(name: string): keyof Headers | 'unusual' | undefined {
  switch (name.length) {
    case 4:
      return name.toLowerCase() === 'host' ? 'host' : undefined
    case 5:
      return name.toLowerCase() === 'range' ? 'unusual' : undefined
    case 6: {
      const lower = name.toLowerCase()
      if (lower === 'expect') return 'unusual'
      return lower === 'accept' ? 'accept' : undefined
    }
    case 7:
      return name.toLowerCase() === 'upgrade' ? 'unusual' : undefined
    case 8:
      return name.toLowerCase() === 'if-range' ? 'unusual' : undefined
    case 10:
      return name.toLowerCase() === 'user-agent' ? 'userAgent' : undefined
    case 12:
      return name.toLowerCase() === 'x-request-id' ? 'requestId' : undefined
    case 13:
      return name.toLowerCase() === 'if-none-match' ? 'ifNoneMatch' : undefined
    case 14:
      return name.toLowerCase() === 'content-length' ? 'unusual' : undefined
    case 17:
      return name.toLowerCase() === 'transfer-encoding' ? 'unusual' : undefined
    default:
      return undefined
  }
}

function text(value: string | undefined): string {
  return value === undefined ? '-' : `+${value}`
}
