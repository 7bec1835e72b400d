// Uploads that cannot go on although nothing is wrong with the registry or with what is pushed: it
// forgot them, or a token ended in the middle of a body that cannot be sent a second time. The way
// out is a new upload.
import { UpstreamError } from '../../registry/ports/upstream.ts'

const LOST = { code: 'UPLOAD_LOST' }

export function lostUpload(message: string, status: number): UpstreamError {
  return new UpstreamError('unavailable', message, { status, cause: LOST })
}

/** Then another attempt at the same upload is in vain. */
export function isLostUpload(error: UpstreamError): boolean {
  return error.cause === LOST
}
