// Answers to what writes that are no success, as UpstreamError. Other than for reads, the
// registry's own words count: whoever pushed has to know what it does not take (R117, R123).
import type { ErrorCode } from '../../oci/errors.ts'
import {
  UpstreamError,
  type UpstreamErrorOptions,
  type UpstreamFailure,
} from '../../registry/ports/upstream.ts'
import { FAILURES, isErrorCode, readErrors } from '../connect/response-errors.ts'
import { markRedirectedHost, newUploadError } from '../endpoint/failure-marks.ts'
import { retryAfterMs } from '../connect/response-headers.ts'
import type { RegistryResponse } from '../endpoint/session.ts'
import { hasOwnMark, isOwnRefusal, notRegistryError } from '../connect/not-a-registry.ts'
import { sanitizeMessage } from './sanitized-message.ts'

/** The rest of 4xx is `rejected`. */
const WRITE_FAILURES: Readonly<Record<number, UpstreamFailure>> = {
  ...FAILURES,
  // A body without Content-Length: sent whole, it would be taken.
  411: 'unsupported',
}

/** With 404, as some registries answer: about what the manifest names, not about where it goes. */
const ABOUT_CONTENT = new Set<ErrorCode>([
  'BLOB_UNKNOWN',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_UNKNOWN',
])
/** An upload that the registry does not know any more, whatever the status. */
const ABOUT_UPLOAD = new Set<ErrorCode>(['BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID'])

/** What anything that takes requests answers; registries have taken pushes with it, too. */
const WITHOUT_MEANING = new Set([200, 202, 204])

/** Was the manifest or the whole blob taken? 201 says so by itself (R117). */
export function isTaken({ status, headers }: RegistryResponse): boolean {
  return status === 201 || (WITHOUT_MEANING.has(status) && hasOwnMark(headers))
}

export interface WriteContext {
  /** In the words of a message: `a blob`. */
  readonly what: string
  /** Wall clock, for Retry-After dates. */
  readonly nowMs: number
  /** The request was for an upload that had been begun. */
  readonly isUpload?: boolean
}

/** Consumes the body. */
export async function writeError(
  response: RegistryResponse,
  context: WriteContext,
): Promise<UpstreamError> {
  const { status, headers, url, redirected } = response
  const errors = await readErrors(response)
  const codes = errors.map(error => error.code)
  const code = codes.find(isErrorCode)
  const text = `${url.host} answered ${status}${code === undefined ? '' : ` (${code})`} to a push of ${context.what}`
  if (context.isUpload === true && isUploadGone(status, code)) return newUploadError(text, status)

  const failure = failureOf(response, code)
  if (failure === 'not-found' && !isOwnRefusal(headers, codes))
    return notRegistryError(text, status)
  if (WITHOUT_MEANING.has(status) && !hasOwnMark(headers)) return notRegistryError(text, status)
  const retryAfter = retryAfterMs(headers.first('retry-after'), context.nowMs)
  const sanitizedMessage = errors
    .map(error => sanitizeMessage(error.message))
    .find(each => each !== undefined)
  const hint = hintFor(failure, { status, redirected })
  const options: UpstreamErrorOptions = {
    status,
    repositoryUnknown: failure === 'not-found' && errors.some(each => each.code === 'NAME_UNKNOWN'),
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
    ...(code === undefined ? {} : { code }),
    ...(sanitizedMessage === undefined ? {} : { sanitizedMessage }),
    ...(hint === undefined ? {} : { hint }),
  }
  const error = new UpstreamError(failure, text, options)
  return redirected ? markRedirectedHost(error) : error
}

function failureOf(
  { status, redirected }: RegistryResponse,
  code: ErrorCode | undefined,
): UpstreamFailure {
  if (status >= 500) return WRITE_FAILURES[status] ?? 'unavailable'
  // A success that cannot be one, or a redirect: what is pushed is not led elsewhere (R145).
  if (status < 400) return 'invalid'
  if (status === 404 && code !== undefined && ABOUT_CONTENT.has(code)) return 'rejected'
  const failure = WRITE_FAILURES[status] ?? 'rejected'
  // Another host's refusal is no verdict of the registry.
  return redirected && failure === 'denied' ? 'unavailable' : failure
}

function isUploadGone(status: number, code: ErrorCode | undefined): boolean {
  if (code === 'NAME_UNKNOWN') return false
  if (status === 404 || status === 410) return true
  return status >= 400 && status < 500 && code !== undefined && ABOUT_UPLOAD.has(code)
}

function hintFor(
  failure: UpstreamFailure,
  { status, redirected }: { status: number; redirected: boolean },
): string | undefined {
  if (failure === 'denied') return 'the credentials of this upstream must be allowed to push'
  if (status >= 300 && status < 400) return 'set url of this upstream to where it redirects to'
  return redirected && failure === 'unavailable'
    ? 'the registry has its uploads on another host'
    : undefined
}
