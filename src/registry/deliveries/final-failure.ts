// Whether a request that failed is over: only then may what it would have done be taken for not
// done.
import { UpstreamError } from '../ports/upstream.ts'

/** The server says so itself: the request came too slowly, and may be carried out all the same. */
const REQUEST_TIMEOUT = 408

/**
 * A server's own word, or nothing was sent. Not so a 5xx: it may come from a proxy, behind which
 * the registry goes on.
 */
export function isFinalFailure(error: unknown): boolean {
  if (!(error instanceof UpstreamError)) return false
  const { status, failure } = error
  if (status === undefined) return failure === 'refused'
  return status < 500 && status !== REQUEST_TIMEOUT
}
