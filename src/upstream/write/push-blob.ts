// A blob that is on this disk goes to the registry: mounted from another repository there, or sent
// whole with one PUT, which every registry takes (R117). What is lost on the way begins again with
// a new upload.
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { BlobSource } from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { pushScope } from '../auth/scopes.ts'
import { cancelUpload, endUpload, startUpload, uploadAt } from './uploads.ts'
import { writeError } from './write-errors.ts'
import type { WriteSteps } from './write-chain.ts'

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
