// A blob that is still arriving here goes up at the same time: POST, then one PATCH in chunked
// coding, and a PUT with the digest once that is known (R103, R117). Nothing of the bytes is kept,
// so nothing of them is sent a second time.
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { UpstreamStream } from '../../registry/ports/upstream-content.ts'
import { needsNewUpload } from '../endpoint/failure-marks.ts'
import { cancelUpload, endUpload, patchUpload, startUpload } from './uploads.ts'
import type { Write } from './write-chain.ts'

export interface StreamParts {
  readonly write: Write
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
}

/** @throws UpstreamError, the signal's reason, or what `body` throws */
export async function streamBlob(
  name: RepositoryName,
  body: AsyncIterable<Uint8Array>,
  { write, clock, signal }: StreamParts,
): Promise<UpstreamStream> {
  const piece = { sizeBytes: undefined, read: () => body, once: true }
  // Here the token is settled that the body needs.
  const begun = await write(
    async ({ begin, endpoint }) => ({
      endpoint,
      upload: await begin('push', startUpload(name, clock)),
    }),
    { signal },
  )
  const { endpoint } = begun
  let { upload } = begun
  try {
    upload = await write(({ goOn }) => goOn(patchUpload(upload, piece, clock)), {
      signal,
      isFinal: () => true,
    })
  } catch (error) {
    // Nobody waits for it: what went wrong is to be told at once.
    void cancelUpload(endpoint, upload, clock)
    throw error
  }
  return {
    finish: digest =>
      write(({ goOn }) => goOn(endUpload(upload, { digest, clock })), {
        signal,
        // An attempt that got no answer may have ended the upload: another would find it gone.
        isFinal: failure => failure.status === undefined || needsNewUpload(failure),
      }),
    cancel: () => cancelUpload(endpoint, upload, clock),
  }
}
