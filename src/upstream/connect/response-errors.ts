// Answers that are no success, as UpstreamError (R92). The upstream's own words are read only for
// their error code: bodies may be anything, HTML included, and none of their text is passed on
// (R123).
import { ERROR_CODES, type ErrorCode } from '../../oci/errors.ts'
import {
  UpstreamError,
  type UpstreamErrorOptions,
  type UpstreamFailure,
} from '../../registry/ports/upstream.ts'
import type { ExchangeResponse } from './exchange.ts'
import { retryAfterMs } from './response-headers.ts'
import { isOwnRefusal, notRegistryError } from './not-a-registry.ts'

/** Enough for an error envelope; the rest of a longer body is not read. */
const ERROR_BODY_BYTES = 64 * 1024

/**
 * What a status means whatever was asked; of the others, 5xx is an outage. 404 and 410 only in the
 * registry's own words.
 */
export const FAILURES: Readonly<Record<number, UpstreamFailure>> = {
  401: 'denied',
  402: 'denied',
  403: 'denied',
  404: 'not-found',
  405: 'unsupported',
  406: 'unsupported',
  408: 'unavailable',
  410: 'not-found',
  425: 'unavailable',
  429: 'rate-limited',
  451: 'denied',
  501: 'unsupported',
}

export interface ResponseContext {
  /** What was asked for, in the words of a message: `a manifest`. */
  readonly what: string
  /** Wall clock, for Retry-After dates. */
  readonly nowMs: number
  /**
   * The answer came from a host that the registry redirected to: its 401 and 403 are no verdict of
   * the registry.
   */
  readonly redirected: boolean
  readonly hint?: string
}

/** Consumes the body. */
export async function responseError(
  response: ExchangeResponse,
  context: ResponseContext,
): Promise<UpstreamError> {
  const { status, headers, url } = response
  const codes = (await readErrors(response)).map(({ code }) => code).filter(code => code !== '')
  const named = codes[0] === undefined ? '' : ` (${codes[0]})`
  const text = `${url.host} answered ${status}${named} for ${context.what}`
  const failure = failureOf(status, context.redirected)
  // Who says that something does not exist must be who would know.
  if (failure === 'not-found' && !isOwnRefusal(headers, codes))
    return notRegistryError(text, status)
  const retryAfter = retryAfterMs(headers.first('retry-after'), context.nowMs)
  const code = codes.find(isErrorCode)
  const options: UpstreamErrorOptions = {
    status,
    repositoryUnknown: failure === 'not-found' && codes.includes('NAME_UNKNOWN'),
    ...(code === undefined ? {} : { code }),
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
    ...(context.hint === undefined ? {} : { hint: context.hint }),
  }
  return new UpstreamError(failure, text, options)
}

function failureOf(status: number, redirected: boolean): UpstreamFailure {
  const failure = FAILURES[status] ?? (status >= 500 ? 'unavailable' : 'invalid')
  return redirected && failure === 'denied' ? 'unavailable' : failure
}

export interface ErrorEntry {
  /** Empty when it has none. */
  readonly code: string
  /** As it came: not fit for anybody's eyes. */
  readonly message: string
}

/**
 * What an error envelope says, or the lone `message` that some registries send; empty when the body
 * is something else. Consumes it.
 */
export async function readErrors(response: ExchangeResponse): Promise<readonly ErrorEntry[]> {
  let envelope: unknown
  try {
    const bytes = await response.body.readAll(ERROR_BODY_BYTES)
    envelope = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return []
  }
  if (!isObject(envelope)) return []
  const isEnvelope = Array.isArray(envelope.errors)
  const errors: readonly unknown[] = Array.isArray(envelope.errors) ? envelope.errors : [envelope]
  return errors.filter(isObject).map(({ code, message }) => ({
    // Outside of the envelope it may be anybody's.
    code: isEnvelope && typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : '',
    message: typeof message === 'string' ? message : '',
  }))
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
