// What this room knows of a failure beyond its kind, for who tries again and for the breaker: that
// another host than the registry failed, and that only a new upload can mend it.
import { UpstreamError } from '../../registry/ports/upstream.ts'

const redirectedHosts = new WeakSet<UpstreamError>()
const NEW_UPLOAD = { code: 'UPLOAD_LOST' }

/**
 * Another host failed, which the registry has redirected to: the storage of its blobs. That says
 * nothing about the registry, which has just answered, so it does not count against it
 * (breaker.ts). Gives the error back.
 */
export function markRedirectedHost<Failure>(error: Failure): Failure {
  if (error instanceof UpstreamError) redirectedHosts.add(error)
  return error
}

export function isRedirectedHostFailure(error: UpstreamError): boolean {
  return redirectedHosts.has(error)
}

/**
 * An upload cannot go on although nothing is wrong with the registry or with what is pushed: it
 * forgot the upload, or a token ended in the middle of a body that cannot be sent a second time.
 */
export function newUploadError(message: string, status: number): UpstreamError {
  return new UpstreamError('unavailable', message, { status, cause: NEW_UPLOAD })
}

/** Then another attempt at the same upload is in vain. */
export function needsNewUpload(error: UpstreamError): boolean {
  return error.cause === NEW_UPLOAD
}
