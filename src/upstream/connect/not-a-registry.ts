// What answers in a registry's place without being one: an ingress that has no backend, a captive
// portal, a gateway. Its word is an outage and no verdict about content, whatever its status is
// (docs/adr/0024-whose-answer-it-is.md).
import { ERROR_CODES } from '../../oci/errors.ts'
import { parseMediaType } from '../../oci/media-type.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { ExchangeResponse } from './exchange.ts'
import type { ResponseHeaders } from './response-headers.ts'

const NOT_A_REGISTRY = { code: 'NOT_A_REGISTRY' }
const HINT =
  'something else seems to answer in its place: an ingress, a proxy or a login page; check url and the way there'

/** Besides those of the specification: what Harbor says of everything that it does not have. */
const OTHER_CODES = new Set(['NOT_FOUND'])
/**
 * Distribution and most of its relatives put it on whatever they answer, also where they give no
 * code.
 */
const VERSION_HEADER = 'docker-distribution-api-version'
/** `prettyjws`: of Docker's schema 1, which has an answer of its own (R41). */
const JSON_TYPE = /^application\/(?:.+[+])?(?:json|prettyjws)$/
const PAGES = new Set(['text/html', 'application/xhtml+xml'])

export function notRegistryError(message: string, status: number): UpstreamError {
  return new UpstreamError('unavailable', message, { status, hint: HINT, cause: NOT_A_REGISTRY })
}

/**
 * Then asking at once again is in vain: what stands before the registry answers as fast as it is
 * asked.
 */
export function isNotRegistry(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && error.cause === NOT_A_REGISTRY
}

/** Did the registry say so itself? `codes`: of the `errors` in the response's body. */
export function isOwnRefusal(headers: ResponseHeaders, codes: readonly string[]): boolean {
  return hasVersion(headers) || codes.some(isCode)
}

/** A header that only registries send, on a response whose status and type say nothing. */
export function hasOwnMark(headers: ResponseHeaders): boolean {
  return hasVersion(headers) || headers.first('docker-content-digest') !== undefined
}

/**
 * For a success that is a page for people, and so nobody's content; else undefined. The body is
 * left as it is.
 */
export function pageError({ status, headers, url }: ExchangeResponse): UpstreamError | undefined {
  if (status < 200 || status > 299 || hasOwnMark(headers)) return undefined
  const mediaType = parseMediaType(headers.first('content-type'))
  if (mediaType === undefined || !PAGES.has(mediaType)) return undefined
  return notRegistryError(`${url.host} answered ${status} with a page (${mediaType})`, status)
}

/**
 * Every registry names a type of JSON for `what`; something that answers 200 to everything does
 * not.
 * @throws UpstreamError
 */
export function assertJson({ status, headers, url }: ExchangeResponse, what: string): void {
  const mediaType = parseMediaType(headers.first('content-type'))
  if (mediaType === undefined || JSON_TYPE.test(mediaType) || hasOwnMark(headers)) return
  throw notRegistryError(`${url.host} answered ${status} with ${mediaType} for ${what}`, status)
}

/** The registry says itself that it is one. */
export function hasVersion(headers: ResponseHeaders): boolean {
  return headers.first(VERSION_HEADER)?.startsWith('registry/2') === true
}

function isCode(code: string): boolean {
  return Object.hasOwn(ERROR_CODES, code) || OTHER_CODES.has(code)
}
