// A blob goes to the registry. One that is on this disk is mounted from another repository there,
// or sent whole with one PUT, which every registry takes (R117); what breaks on the way begins
// again with a new upload. One that is still arriving here goes up at the same time: POST, then one
// PATCH in chunked coding, and a PUT with the digest once that is known (R103, R117). Nothing of
// its bytes is kept, so nothing of them is sent a second time.
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { BlobSource, UpstreamStream } from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { pushScope } from '../auth/scopes.ts'
import { needsNewUpload } from '../endpoint/failure-marks.ts'
import { cancelUpload, endUpload, patchUpload, startUpload, uploadAt } from './uploads.ts'
import { writeError } from './write-errors.ts'
import type { Write, WriteSteps } from './write-chain.ts'

/** An attempt: POST, then PUT with Content-Length. */
export function pushBlob(name: RepositoryName, source: BlobSource, clock: Clock) {
  const { digest, sizeBytes } = source
  const piece = { sizeBytes, read: () => source.read() }
  return async ({ begin, goOn }: WriteSteps): Promise<void> => {
    const upload = await begin('push', startUpload(name, clock))
    await goOn(endUpload(upload, { digest, piece, clock }))
  }
}

export interface Mount {
  readonly name: RepositoryName
  readonly digest: Digest
  readonly from: RepositoryName
}

/**
 * An attempt: whether the registry has the blob in `name` now. Every refusal is false, since it may
 * be about `from` alone: what is wrong with `name` shows when the bytes are sent.
 */
export function mountBlob(mount: Mount, clock: Clock) {
  return ({ begin }: WriteSteps): Promise<boolean> =>
    begin('push', async (endpoint, { signal }) => {
      const { urls } = endpoint
      const from = urls.nameOf(mount.from)
      const query = { mount: mount.digest, from }
      const url = urls.for(mount.name, 'blobs/uploads/', query)
      const scope = pushScope(urls.nameOf(mount.name), from)
      const request = {
        call: 'push',
        lane: 'push',
        method: 'POST',
        url,
        scope,
        headers: {},
      } as const
      try {
        const response = await endpoint.send(request, signal)
        if (response.status === 202) {
          await response.body.drain()
          const upload = uploadAt(response, endpoint, { scope, withoutCredentials: false })
          await cancelUpload(endpoint, upload, clock)
          return false
        }
        if (response.status !== 201) {
          throw await writeError(response, { what: 'a mounted blob', nowMs: clock.nowMs() })
        }
        await response.body.drain()
        return true
      } catch (error) {
        if (error instanceof UpstreamError && isAboutTheMount(error)) return false
        throw error
      }
    })
}

function isAboutTheMount({ failure }: UpstreamError): boolean {
  return failure !== 'unavailable' && failure !== 'rate-limited'
}

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
        // An attempt that got no response may have ended the upload: another would find it gone.
        isFinal: failure => failure.status === undefined || needsNewUpload(failure),
      }),
    cancel: () => cancelUpload(endpoint, upload, clock),
  }
}
