// The URLs that answers to a push give out: paths in the form that the client used, prefix and `ns`
// included (R29, R99).
import type { Digest } from '../../oci/digest.ts'
import type { UploadState } from '../../registry/answers.ts'
import type { AnswerHeaders } from '../answer.ts'
import type { NamedContext } from '../context.ts'

export function blobLocation(context: NamedContext, digest: Digest): string {
  return locate(context, `blobs/${digest}`)
}

export function manifestLocation(context: NamedContext, digest: Digest): string {
  return locate(context, `manifests/${digest}`)
}

/**
 * Where an upload goes on and how far it has come. An empty one is `0-0`, which is also one of a
 * single byte (R106).
 */
export function uploadHeaders(
  context: NamedContext,
  { id, sizeBytes }: UploadState,
): AnswerHeaders {
  return {
    Location: locate(context, `blobs/uploads/${id}`),
    Range: `0-${Math.max(0, sizeBytes - 1)}`,
    'Docker-Upload-UUID': id,
  }
}

function locate({ routed, target }: NamedContext, rest: string): string {
  const namespace = target.query.get('ns')
  const query = namespace === null ? '' : `?ns=${encodeURIComponent(namespace)}`
  return `${routed.urlPrefix}/${rest}${query}`
}
