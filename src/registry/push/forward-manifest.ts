// A manifest goes to the upstream while its client waits (R116): by its digest, or by its tag; with
// further tags first by the digest, so that no tag is seen before everything is there. What the
// upstream says is the client's answer. The list of referrers comes last.
import {
  formatReference,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../../oci/reference.ts'
import type { Digest } from '../../oci/digest.ts'
import { isFinalFailure } from '../deliveries/final-failure.ts'
import type { Upstream } from '../ports/upstream.ts'
import { keepReferrersList, type PutList, type Referrer } from './keep-referrers-list.ts'

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
  /** Each tag is put a single time, so that the answer says what became of it. */
  readonly once: boolean
}

/**
 * `accepted`: the tags that point to it at the upstream now; with `failure` not all that were asked
 * for.
 */
export interface Forwarded {
  readonly accepted: readonly Tag[]
  /**
   * Whether it points there nobody knows. Neither here nor in `accepted`: it was refused, or not
   * sent.
   */
  readonly unknown: Tag | undefined
  /**
   * It is listed among the referrers of this at the upstream; undefined when it is not, or has
   * none.
   */
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
  let sent: Tag | undefined
  try {
    for (const reference of referencesOf(manifest)) {
      const isTag = reference.kind === 'tag'
      sent = isTag ? reference.tag : undefined
      const source = { ...manifest, once: isTag && manifest.once }
      const taken = await upstream.putManifest(name, reference, source)
      subject ??= taken.subject
      if (isTag) accepted.push(reference.tag)
      sent = undefined
    }
    subject ??= await listedSubject(upstream, name, manifest.referrer)
    return { accepted, unknown: undefined, subject, failure: undefined }
  } catch (failure) {
    return { accepted, unknown: isFinalFailure(failure) ? undefined : sent, subject, failure }
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
