// Failures without a response — DNS, TCP, TLS, time limits, broken HTTP — as UpstreamError.
// Failures that the upstream answered with a status are in response-errors.ts.
import { UpstreamError } from '../../registry/ports/upstream.ts'

/**
 * The peer closed a connection that it had kept open, just as we reused it; a new one will do
 * (undici#3141).
 */
const STALE_CONNECTION = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** Trying again gives the same response, and the operator has to do something. */
const CERTIFICATE: Record<string, string> = {
  CERT_HAS_EXPIRED: 'the certificate has expired; look at the clock of this machine, too',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet; look at the clock of this machine',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'set ca under this upstream to the certificate of its authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'set ca under this upstream to the certificate of its authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'set ca under this upstream to the certificate of its authority',
  UNABLE_TO_GET_ISSUER_CERT: 'set ca under this upstream to the certificate of its authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'set ca under this upstream to the certificate of its authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name; check url',
  EPROTO: 'this is not a TLS server, or it wants another version; check url and http',
  ERR_SSL_WRONG_VERSION_NUMBER: 'this is not a TLS server; set http: true if it speaks plain HTTP',
}

const OUTAGE: Record<string, { reason: string; hint?: string }> = {
  ENOTFOUND: { reason: 'the name does not resolve', hint: 'check url and the DNS of this machine' },
  EAI_AGAIN: { reason: 'the name server does not answer', hint: 'check the DNS of this machine' },
  ECONNREFUSED: { reason: 'the connection was refused', hint: 'check url and that it is running' },
  ENETUNREACH: { reason: 'the network is unreachable' },
  EHOSTUNREACH: { reason: 'the host is unreachable' },
  ETIMEDOUT: { reason: 'the connection timed out' },
  UND_ERR_CONNECT_TIMEOUT: {
    reason: 'no connection within the time limit',
    hint: 'check firewalls, and proxy when a proxy is needed',
  },
  UND_ERR_HEADERS_TIMEOUT: { reason: 'no answer within the time limit' },
  UND_ERR_BODY_TIMEOUT: { reason: 'the answer stalled' },
  UND_ERR_SOCKET: { reason: 'the connection was closed' },
  ECONNRESET: { reason: 'the connection was reset' },
  EPIPE: { reason: 'the connection was closed' },
}

/** Nobody is there, or nobody that is trusted: whatever else is asked for there fails as well. */
const UNREACHED = new Set([
  ...Object.keys(CERTIFICATE),
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])

const BROKEN_HTTP = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
])

/**
 * `error` as an UpstreamError; one that is so already comes back as it is. `host` is named in the
 * text; nothing of the error's own text is, because that may quote URLs.
 */
export function connectionError(error: unknown, host: string): UpstreamError {
  if (error instanceof UpstreamError) return error
  const code = errorCode(error)
  const cause = code === undefined ? undefined : { cause: { code } }
  const certificateHint = CERTIFICATE[code ?? '']
  if (certificateHint !== undefined) {
    const text = `${host}: no trusted TLS connection (${code})`
    return new UpstreamError('unavailable', text, { hint: certificateHint, ...cause })
  }
  if (code !== undefined && (BROKEN_HTTP.has(code) || code.startsWith('HPE_'))) {
    return new UpstreamError('invalid', `${host} broke the rules of HTTP (${code})`, cause)
  }
  const known = OUTAGE[code ?? '']
  const reason = known?.reason ?? `the connection failed${code === undefined ? '' : ` (${code})`}`
  return new UpstreamError('unavailable', `${host}: ${reason}`, {
    ...(known?.hint === undefined ? {} : { hint: known.hint }),
    ...cause,
  })
}

/**
 * Did the error come from a connection that the peer had given up already? One more try costs it
 * nothing.
 */
export function isStaleConnection(error: UpstreamError): boolean {
  return STALE_CONNECTION.has(errorCode(error.cause) ?? '')
}

/**
 * Did it fail before there was a connection? A time limit over more than that does not tell, and
 * counts as reached.
 */
export function isUnreached(error: UpstreamError): boolean {
  return UNREACHED.has(errorCode(error.cause) ?? '')
}

/** Would the same request fail the same way until somebody mends it? */
export function isCertificateFault(error: UpstreamError): boolean {
  return Object.hasOwn(CERTIFICATE, errorCode(error.cause) ?? '')
}

/**
 * Looks into the members of an AggregateError, which is what several failed addresses of one name
 * give.
 */
function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  const members = error instanceof AggregateError ? error.errors : []
  return members.map(errorCode).find(code => code !== undefined)
}
