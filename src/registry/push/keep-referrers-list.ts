// The list of referrers at a registry that has no referrers API (R77): an index under a tag, which
// whoever pushes a referrer has to keep. Clients look for the API to know whether they have to;
// they find this edge's, which answers. So the edge keeps the list.
import { type Digest, digestOf } from '../../oci/digest.ts'
import { MANIFEST_LIMIT_BYTES, type ReferrerDescriptor } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-type.ts'
import type { Reference, RepositoryName } from '../../oci/reference.ts'
import { referrersTag } from '../../oci/referrers-tag.ts'
import type { ManifestSource, UpstreamReferrers } from '../ports/upstream-content.ts'
import { type Upstream, UpstreamError } from '../ports/upstream.ts'

export interface Referrer {
  readonly subject: Digest
  readonly descriptor: ReferrerDescriptor
}

/** How the list is put: as `Upstream.putManifest` does, with the name of the repository known. */
export type PutList = (reference: Reference, list: ManifestSource) => Promise<unknown>

/**
 * With the referrer at the upstream: makes sure that it is listed, and tells whether it is. A
 * registry with the API lists it by itself. What somebody else adds at the same moment may be lost,
 * as between any two clients: the protocol has no way around it.
 * @throws UpstreamError unavailable or rate-limited when the list could not be seen; what `put`
 * throws; the signal's reason
 */
export async function keepReferrersList(
  upstream: Upstream,
  name: RepositoryName,
  { referrer, put, signal }: { referrer: Referrer; put: PutList; signal?: AbortSignal },
): Promise<boolean> {
  const { subject, descriptor } = referrer
  // What a mirror lists says nothing about where the list is put.
  const options = { signal, endpoints: 'registry' } as const
  const listed = await find(() => upstream.listReferrers(name, subject, options))
  if (listed === undefined) return false
  if (listed.byTag !== true) return true
  if (listed.manifests.some(each => digestIn(each) === descriptor.digest)) return true
  const manifests = [...listed.manifests, descriptor]
  const list = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
  const bytes = Buffer.from(JSON.stringify(list))
  if (bytes.length > MANIFEST_LIMIT_BYTES) return false
  const reference = { kind: 'tag', tag: referrersTag(subject) } as const
  await put(reference, { bytes, mediaType: OCI_INDEX, digest: digestOf(bytes), once: true })
  return true
}

/**
 * Undefined when the upstream answers something else than a list: what is under the tag is then not
 * this edge's to replace.
 */
async function find(ask: () => Promise<UpstreamReferrers>): Promise<UpstreamReferrers | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const mayPass = error.failure === 'unavailable' || error.failure === 'rate-limited'
    if (mayPass) throw error
    return undefined
  }
}

function digestIn(descriptor: unknown): unknown {
  return typeof descriptor === 'object' && descriptor !== null && 'digest' in descriptor
    ? descriptor.digest
    : undefined
}
