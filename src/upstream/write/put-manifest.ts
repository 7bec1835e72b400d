// A manifest goes to the registry, byte for byte, under its digest or a tag (R116, R117). What it
// names went before.
import { type Digest, digestAlgorithm, digestFrom, digestOf } from '../../oci/digest.ts'
import { formatReference, type Reference, type RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { ManifestTaken } from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { Deadline } from '../connect/deadline.ts'
import { pushScope } from '../auth/scopes.ts'
import type { RegistryResponse } from '../endpoint/session.ts'
import { isTaken, writeError } from './write-errors.ts'
import type { WriteSteps } from './write-chain.ts'

export interface ManifestPut {
  readonly name: RepositoryName
  readonly reference: Reference
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly digest: Digest
}

/** An attempt. */
export function putManifest(put: ManifestPut, clock: Clock) {
  const { name, reference, bytes, mediaType } = put
  return ({ begin }: WriteSteps): Promise<ManifestTaken> =>
    begin('api', async (endpoint, deadline) => {
      const url = endpoint.urls.for(name, `manifests/${formatReference(reference)}`)
      const scope = pushScope(endpoint.urls.nameOf(name))
      const headers = { 'content-type': mediaType }
      const body = bodyOf(bytes, deadline)
      try {
        const response = await endpoint.send(
          { call: 'push', lane: 'api', method: 'PUT', url, scope, headers, body },
          deadline.signal,
        )
        if (!isTaken(response)) {
          throw await writeError(response, { what: 'a manifest', nowMs: clock.nowMs() })
        }
        await response.body.drain()
        assertSame(response, put)
        return { subject: digestFrom(response.headers.first('oci-subject') ?? '') }
      } finally {
        deadline.resume()
      }
    })
}

/**
 * Only while it moves it is not counted: who waits for the response has no more time than for any
 * other.
 */
function bodyOf(bytes: Uint8Array, deadline: Deadline) {
  return {
    sizeBytes: bytes.length,
    read: async function* () {
      yield bytes
    },
    onFirst: () => deadline.pause(),
    onLast: () => deadline.resume(),
  }
}

/** Registries may name the digest by their own algorithm: then it is that of these bytes. */
function assertSame({ headers, url }: RegistryResponse, { bytes, digest }: ManifestPut): void {
  const accepted = digestFrom(headers.first('docker-content-digest') ?? '')
  if (accepted === undefined || accepted === digest) return
  const algorithm = digestAlgorithm(accepted)
  if (algorithm !== digestAlgorithm(digest) && accepted === digestOf(bytes, algorithm)) return
  throw new UpstreamError(
    'invalid',
    `${url.host} accepted a manifest as ${accepted} and not as ${digest}`,
  )
}
