// What refers to another manifest is listed as such at the upstream (R77, R115): by itself where
// that has the referrers API, else by this edge, whose client was told that it need not see to it.
import type { Digest } from '../oci/digest.ts'
import { parseManifest, referrerDescriptor } from '../oci/manifest.ts'
import { keepReferrersList, type PutList } from '../registry/push/keep-referrers-list.ts'
import type { Attempt } from './carrier.ts'
import { isAnswer } from '../registry/is-answer.ts'
import type { DeliveryContext } from './delivery-context.ts'

export interface Delivered {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/**
 * With the manifest at the upstream. The list is put as a tag is: one that arrived late would take
 * back what was listed since.
 * @throws UpstreamError, StoreError
 */
export async function listReferrer(
  { upstream, repository: { name }, signal }: DeliveryContext,
  { digest, mediaType, bytes }: Delivered,
  attempt: Attempt,
): Promise<void> {
  const manifest = parseManifest(bytes, mediaType)
  const subject = manifest.subject?.digest
  if (subject === undefined) return
  const referrer = { subject, descriptor: referrerDescriptor(manifest, digest, bytes.length) }
  const put: PutList = (reference, list) =>
    attempt.send(() => upstream.putManifest(name, reference, list, signal), isAnswer)
  await keepReferrersList(upstream, name, { referrer, put, signal })
}
