// What a client is told when the upstream failed (R92): chosen by what each status makes real
// clients do next. Never 401, which would make clients hand their own credentials to this edge;
// never 404 for a rate limit or an outage.
import { type ErrorCode, RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { UpstreamError, type UpstreamFailure } from '../ports/upstream.ts'
import { QueueError } from './queue-error.ts'

/**
 * Above this the client is sent away with 503 rather than 429: containerd repeats a 429 five times
 * at once and does not read Retry-After, while 503 makes it try its next host (R92).
 */
const LONGEST_PASSED_ON_429_MS = 10_000
/** Clients wait no longer than this for a Retry-After (R124). */
const LONGEST_RETRY_AFTER_SECONDS = 60
/** When the upstream named no time. */
const DEFAULT_RETRY_AFTER_SECONDS = 5

/**
 * Failures that say nothing about the content: what is known here may be served past its freshness
 * (R89).
 */
const MAY_SERVE_STALE: Record<UpstreamFailure, boolean> = {
  unavailable: true,
  'rate-limited': true,
  // A captive portal's login page or a hijacked name is an outage for whoever stands before it.
  invalid: true,
  refused: true,
  'not-found': false,
  denied: false,
  unsupported: false,
  // Said of a write only.
  rejected: false,
}

export function mayServeStale(error: unknown): boolean {
  return error instanceof UpstreamError && MAY_SERVE_STALE[error.failure]
}

/** The `404` code for what was asked: a manifest, a blob, or a list of a repository. */
export type MissingCode = Extract<ErrorCode, 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN' | 'NAME_UNKNOWN'>

/**
 * Runs `work`; an UpstreamError or QueueError of it becomes what the client is told.
 * @throws RegistryError, or what else `work` throws
 */
export async function withClientErrors<Answer>(
  repository: Repository,
  missing: MissingCode,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work()
  } catch (error) {
    throw clientError(error, repository, missing)
  }
}

/** The same for what comes piece by piece. */
export async function* eachWithClientErrors<Piece>(
  repository: Repository,
  missing: MissingCode,
  pieces: AsyncIterable<Piece>,
): AsyncGenerator<Piece> {
  try {
    yield* pieces
  } catch (error) {
    throw clientError(error, repository, missing)
  }
}

/**
 * Turns an UpstreamError or a QueueError into what the client is told; any other error comes back
 * as it is.
 */
function clientError(error: unknown, repository: Repository, missing: MissingCode): unknown {
  const where = repositoryKey(repository)
  const { registry } = repository
  if (error instanceof QueueError) {
    return new RegistryError(
      'UNAVAILABLE',
      `downloads from ${registry} are waiting for each other at this edge, and ${where} has not come to its turn yet: ask again`,
      { retryAfterSeconds: retryAfterSeconds(error), cause: error },
    )
  }
  if (!(error instanceof UpstreamError)) return error
  switch (error.failure) {
    case 'not-found':
      return error.repositoryUnknown
        ? new RegistryError('NAME_UNKNOWN', `${registry} has no repository ${repository.name}`, {
            cause: error,
          })
        : new RegistryError(missing, `${registry} does not have this in ${repository.name}`, {
            cause: error,
          })
    case 'denied':
      return new RegistryError(
        'DENIED',
        `${registry} does not let this edge read ${repository.name}: it does not exist there, or is private and needs credentials under upstreams in this edge's configuration`,
        { cause: error },
      )
    case 'rate-limited':
      return rateLimited(error, where)
    case 'unavailable':
      return new RegistryError(
        'UNAVAILABLE',
        `${registry} cannot be reached and ${where} is not cached here`,
        {
          retryAfterSeconds: retryAfterSeconds(error),
          cause: error,
        },
      )
    case 'invalid':
      return new RegistryError(
        'UNAVAILABLE',
        `${registry} gave a wrong answer for ${where}; it was not passed on`,
        {
          status: 502,
          cause: error,
        },
      )
    case 'refused':
      return new RegistryError(
        'UNAVAILABLE',
        `this edge may not connect where ${registry} leads for ${where}`,
        {
          status: 502,
          cause: error,
        },
      )
    case 'unsupported':
    case 'rejected':
      return new RegistryError('UNSUPPORTED', `${registry} does not support this request`, {
        cause: error,
      })
  }
}

/**
 * Runs the part of a push that goes to the upstream; its verdict becomes the client's.
 * @throws RegistryError, or what else `work` throws
 */
export async function withPushErrors<Answer>(
  repository: Repository,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof UpstreamError ? pushError(error, repository) : error
  }
}

/**
 * Codes of an upstream that mean the same to this edge's client: what is wrong is what it pushes,
 * or where.
 */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set([
  'BLOB_UNKNOWN',
  'DENIED',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'TAG_INVALID',
  'UNSUPPORTED',
])

/**
 * As above for a push; its 401 is a 403 here, or clients would hand this edge the credentials that
 * are meant for the upstream.
 */
function pushError(error: UpstreamError, { registry, name }: Repository): RegistryError {
  const said = error.sanitizedMessage === undefined ? '' : `: ${error.sanitizedMessage}`
  const later = { retryAfterSeconds: retryAfterSeconds(error), cause: error }
  switch (error.failure) {
    case 'not-found':
      return new RegistryError(
        'NAME_UNKNOWN',
        `${registry} has no repository ${name} that this edge may push to; some registries want it created first${said}`,
        { cause: error },
      )
    case 'denied':
      return new RegistryError(
        'DENIED',
        `${registry} refused this edge's push to ${name}: the credentials under upstreams.${registry} in its configuration are missing, wrong or have no right to push there${said}`,
        { cause: error },
      )
    case 'rejected': {
      const code = error.code !== undefined && PASSED_ON.has(error.code) ? error.code : 'DENIED'
      // The one status that says more than its code.
      const status = error.status === 413 ? { status: 413 } : {}
      return new RegistryError(code, `${registry} does not take this in ${name}${said}`, {
        ...status,
        cause: error,
      })
    }
    case 'rate-limited': {
      const message = `${registry} takes no more pushes from this edge for a while: its rate limit is used up`
      return new RegistryError(limitCode(error), message, later)
    }
    case 'unavailable':
      return new RegistryError(
        'UNAVAILABLE',
        `${registry} cannot be reached, and pushes to ${name} go there at once: push again later`,
        later,
      )
    case 'invalid':
    case 'refused': {
      const message =
        error.failure === 'invalid'
          ? `${registry} gave a wrong answer to a push to ${name}`
          : `this edge may not connect where ${registry} leads for a push to ${name}`
      return new RegistryError('UNAVAILABLE', message, { status: 502, cause: error })
    }
    case 'unsupported':
      return new RegistryError('UNSUPPORTED', `${registry} takes no pushes to ${name}${said}`, {
        cause: error,
      })
  }
}

function rateLimited(error: UpstreamError, where: string): RegistryError {
  const message = `the upstream's rate limit is used up and ${where} is not cached here`
  const options = { retryAfterSeconds: retryAfterSeconds(error), cause: error }
  return new RegistryError(limitCode(error), message, options)
}

function limitCode(error: UpstreamError): ErrorCode {
  return (error.retryAfterMs ?? 0) <= LONGEST_PASSED_ON_429_MS ? 'TOOMANYREQUESTS' : 'UNAVAILABLE'
}

function retryAfterSeconds(error: UpstreamError | QueueError): number {
  if (error.retryAfterMs === undefined) return DEFAULT_RETRY_AFTER_SECONDS
  return Math.min(LONGEST_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(error.retryAfterMs / 1000)))
}
