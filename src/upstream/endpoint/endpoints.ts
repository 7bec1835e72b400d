// The endpoints of one namespace and the order in which they are asked (R151): mirrors first, each
// once, then the authoritative one, with retries. Each has its breaker. What a mirror lacks or
// refuses is asked of the authoritative endpoint, and what it has wrong as well (mirror-trust.ts).
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { type ReadOptions, UpstreamError } from '../../registry/ports/upstream.ts'
import type { Finding } from './breaker.ts'
import { type Deadline, startDeadline } from '../connect/deadline.ts'
import type { Lane } from '../connect/dispatcher.ts'
import { isRedirectedHostFailure } from './failure-marks.ts'
import { isStaleConnection, isUnreached } from '../connect/errors.ts'
import type { Endpoint } from './endpoint.ts'
import type { ContentKey, MirrorTrust } from './mirror-trust.ts'
import { withRetries } from './retry.ts'
import { pullScope } from '../auth/scopes.ts'

/**
 * A mirror gets a third of the chain's time: enough for a slow one, and leaves the rest enough for
 * a retry.
 */
const MIRROR_SHARE = 1 / 3

/**
 * One attempt at one endpoint. `deadline.signal` ends it; a body that goes on afterwards lifts the
 * deadline.
 */
export type Work<T> = (endpoint: Endpoint, deadline: Deadline) => Promise<T>

export interface AskOptions<T> extends ReadOptions {
  readonly lane: Lane
  /** What of this content is asked for; none for lists. */
  readonly key?: ContentKey
  /**
   * Is this response of a mirror enough, or is the authoritative endpoint to be asked as well?
   * Default: it is.
   */
  readonly suffices?: (value: T) => boolean
}

/** @throws UpstreamError of the authoritative endpoint, or the signal's reason */
export type Ask = <T>(work: Work<T>, options: AskOptions<T>) => Promise<T>

export interface EndpointsOptions {
  readonly mirrors: MirrorTrust
  readonly authoritative: Endpoint
  readonly clock: Clock
  readonly random: () => number
  readonly chainMs: number
}

export function createAsk(options: EndpointsOptions): Ask {
  const { mirrors, authoritative, clock, random, chainMs } = options

  return async (work, { lane, signal, endpoints, retries, key, suffices = () => true }) => {
    const deadline = startDeadline(clock, chainMs, signal)
    try {
      for (const mirror of endpoints === 'registry' ? [] : mirrors.mirrorsFor(key)) {
        const found = await askMirror(mirror, work, { lane, deadline })
        if (found.kind !== 'response' || !suffices(found.value)) continue
        if (key !== undefined) mirrors.gave(key, mirror)
        return found.value
      }
      const attempt = () => once(authoritative, work, { lane, deadline, caller: signal })
      const isFinal = retries === 'if responded' ? createFinalWithoutResponse() : undefined
      return await withRetries(attempt, { clock, deadline, random, isFinal })
    } finally {
      if (!deadline.isLifted) deadline.end()
    }
  }

  async function askMirror<T>(mirror: Endpoint, work: Work<T>, { lane, deadline }: OnceOptions) {
    const part = startDeadline(clock, chainMs * MIRROR_SHARE, deadline.signal)
    try {
      const value = await once(mirror, work, { lane, deadline: part, caller: deadline.signal })
      if (part.isLifted) {
        deadline.lift()
        part.whenEnded(() => deadline.end())
      }
      return { kind: 'response', value } as const
    } catch (error) {
      if (deadline.signal.aborted) throw deadline.signal.reason
      if (error instanceof UpstreamError) return { kind: 'failed' } as const
      throw error
    } finally {
      if (!part.isLifted) part.end()
    }
  }
}

/**
 * Any failure without a response is final, but for one: a connection that was kept open, and that
 * the other side had given up, is replaced once.
 */
function createFinalWithoutResponse(): (failure: UpstreamError) => boolean {
  let hasReconnected = false
  return failure => {
    if (failure.status !== undefined) return false
    if (hasReconnected || !isStaleConnection(failure)) return true
    hasReconnected = true
    return false
  }
}

interface OnceOptions {
  readonly lane: Lane
  readonly deadline: Deadline
}

/**
 * One attempt through the breaker, which is told what it found.
 * @throws UpstreamError, also when the breaker is open
 */
export async function once<T>(
  endpoint: Endpoint,
  work: Work<T>,
  { lane, deadline, caller }: OnceOptions & { caller: AbortSignal | undefined },
): Promise<T> {
  const report = endpoint.breaker.enter(lane)
  try {
    const value = await work(endpoint, deadline)
    await report({ kind: 'good' })
    return value
  } catch (error) {
    await report(findingOf(error, caller))
    throw error
  }
}

function findingOf(error: unknown, caller: AbortSignal | undefined): Finding {
  if (caller?.aborted || !(error instanceof UpstreamError)) return { kind: 'none' }
  switch (error.failure) {
    case 'unavailable':
      if (isRedirectedHostFailure(error)) return { kind: 'good' }
      return { kind: 'failed', error, wasReached: !isUnreached(error) }
    case 'rate-limited':
      return { kind: 'failed', error, wasReached: true }
    case 'not-found':
    case 'denied':
    case 'unsupported':
    case 'rejected':
      return { kind: 'good' }
    case 'invalid':
    case 'refused':
      return { kind: 'none' }
  }
}

/** The rest of a blob's or manifest's URL after the name, and its scope, together. */
export function requestAt(
  endpoint: Endpoint,
  name: RepositoryName,
  rest: string,
  query?: Readonly<Record<string, string>>,
): { readonly url: URL; readonly scope: string } {
  const url = endpoint.urls.for(name, rest, query)
  return { url, scope: pullScope(endpoint.urls.nameOf(name)) }
}
