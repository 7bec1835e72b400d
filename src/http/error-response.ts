// The one place where errors become answers (R121–R124, R126). A RegistryError may be shown; of
// anything else a client gets no text (R123): a StoreError becomes 503, what remains, upstream
// errors among it, 500 with the request's id.
import { errorEnvelope, RegistryError } from '../oci/errors.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import type { Answer, AnswerHeaders } from './answer.ts'
import { ERROR_BODY_MAX_BYTES } from './limits.ts'

/** Statuses that tell when to come back (R124). */
const RETRY_STATUSES = new Set([429, 503])
const RETRY_AFTER_SECONDS_DEFAULT = 5
/** Clients honour at most a minute (R124). */
const RETRY_AFTER_SECONDS_MAX = 60

/** Of a 5xx docker and containerd print the first line of the answer and not its body. */
const REASONED_STATUS_MIN = 500
/** A line in a terminal or two. */
const REASON_MAX_LENGTH = 200

/** `headers` are those that belong to this very error: `Allow`, `Content-Range`. */
export function errorAnswer(error: RegistryError, headers: AnswerHeaders = {}): Answer {
  return {
    status: error.status,
    ...(error.status < REASONED_STATUS_MIN ? {} : { reason: reasonOf(error) }),
    headers: {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      'Retry-After': retryAfter(error),
      'WWW-Authenticate': error.challenge,
      ...headers,
    },
    body: { kind: 'bytes', bytes: envelopeBytes(error) },
  }
}

/** For whatever was thrown. */
export function failureAnswer(failure: unknown, requestId: string): Answer {
  return errorAnswer(shown(failure, requestId))
}

function shown(failure: unknown, requestId: string): RegistryError {
  if (failure instanceof RegistryError) return failure
  return failure instanceof StoreError
    ? storageError(failure, requestId)
    : internalError(failure, requestId)
}

function storageError(cause: StoreError, requestId: string): RegistryError {
  const message = `the storage of this edge fails; its log says how, under request ${requestId}`
  return new RegistryError('UNAVAILABLE', message, { cause })
}

function internalError(cause: unknown, requestId: string): RegistryError {
  const message = `something failed inside the registry; its log says what, under request ${requestId}`
  return new RegistryError('UNKNOWN', message, { cause })
}

function reasonOf({ message }: RegistryError): string {
  return message
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .slice(0, REASON_MAX_LENGTH)
    .trim()
}

function retryAfter(error: RegistryError): string | undefined {
  const seconds = error.retryAfterSeconds
  if (seconds === undefined && !RETRY_STATUSES.has(error.status)) return undefined
  const whole = Math.ceil(seconds ?? RETRY_AFTER_SECONDS_DEFAULT)
  return String(Math.min(Math.max(whole, 1), RETRY_AFTER_SECONDS_MAX))
}

function envelopeBytes(error: RegistryError): Uint8Array {
  const bytes = Buffer.from(errorEnvelope(error))
  if (bytes.length <= ERROR_BODY_MAX_BYTES) return bytes
  const { code, status } = error
  return Buffer.from(errorEnvelope(new RegistryError(code, undefined, { status })))
}
