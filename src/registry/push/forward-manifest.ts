// A manifest goes to the upstream while its client waits (R116): by its digest, or by its tag; with further tags first by the digest, so
// that no tag is seen before everything is there. What the upstream says is the client's answer. The list of referrers comes last.
import {
  formatReference,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../../oci/reference.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Upstream } from '../ports/upstream.ts'
import { keepReferrersList, type PutList, type Referrer } from '../pull/referrers-list.ts'

export interface ForwardedManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
  /** As the client wrote it. */
  readonly reference: Reference
  /** Further ones. */
  readonly tags: readonly Tag[]
  /** Undefined without a subject. */
  readonly referrer: Referrer | undefined
}

/** `accepted`: the tags that point to it at the upstream now; with `failure` not all that were asked for. */
export interface Forwarded {
  readonly accepted: readonly Tag[]
  /** It is listed among the referrers of this at the upstream; undefined when it is not, or has none. */
  readonly subject: Digest | undefined
  readonly failure: unknown
}

/** Never rejects: what was accepted before something failed is true. */
export async function forwardManifest(
  upstream: Upstream,
  name: RepositoryName,
  manifest: ForwardedManifest,
): Promise<Forwarded> {
  const accepted: Tag[] = []
  let subject: Digest | undefined
  try {
    for (const reference of referencesOf(manifest)) {
      const taken = await upstream.putManifest(name, reference, manifest)
      subject ??= taken.subject
      if (reference.kind === 'tag') accepted.push(reference.tag)
    }
    subject ??= await listedSubject(upstream, name, manifest.referrer)
    return { accepted, subject, failure: undefined }
  } catch (failure) {
    return { accepted, subject, failure }
  }
}

/** Where the upstream has not said that it lists it. @throws UpstreamError */
async function listedSubject(
  upstream: Upstream,
  name: RepositoryName,
  referrer: Referrer | undefined,
): Promise<Digest | undefined> {
  if (referrer === undefined) return undefined
  const put: PutList = (reference, list) => upstream.putManifest(name, reference, list)
  const isListed = await keepReferrersList(upstream, name, { referrer, put })
  return isListed ? referrer.subject : undefined
}

function referencesOf({ reference, tags }: ForwardedManifest): readonly Reference[] {
  const further = tags.map(tag => ({ kind: 'tag', tag }) as const)
  return [...new Map([reference, ...further].map(each => [formatReference(each), each])).values()]
}
