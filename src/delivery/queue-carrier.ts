// The carrier `queue` (R116, R117): brings one pushed manifest to its repository's upstream:
// blobs, children, itself, then its tags and, where the upstream does not do so, its line in the
// list of referrers. Whatever is there already is not sent again, so it may be done any number of
// times.
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { parseManifest, referrerDescriptor } from '../oci/manifest.ts'
import { parseRepositoryKey, type Repository } from '../oci/reference.ts'
import { type ManifestDelivery, parseDelivery } from '../registry/deliveries/delivery-payload.ts'
import { isFinalFailure } from '../registry/deliveries/final-failure.ts'
import type { Namespaces } from '../registry/routing/namespaces.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import { keepReferrersList, type PutList } from '../registry/push/keep-referrers-list.ts'
import type { RepositoryPolicies } from '../registry/routing/repository-policy.ts'
import { uploadManifest } from './upload-manifest.ts'
import { failureOutcome } from './queue-failure.ts'
import type { Attempt, Carry, DeliveryOutcome } from './carrier.ts'
import { createOvertake, type OvertakeParts, putTags } from './put-tags.ts'
import type { DeliveryContext } from './delivery-context.ts'

export interface QueueCarrierParts extends OvertakeParts {
  readonly store: BlobStore
  readonly namespaces: Namespaces
  readonly policies: RepositoryPolicies
}

export function createQueueCarrier(parts: QueueCarrierParts): Carry {
  return async (entry, attempt) => {
    const repository = repositoryFrom(entry.key)
    const delivery = parseDelivery(entry.payload)
    if (repository === undefined || delivery === undefined) return unreadable()
    try {
      return await deliver(parts, { entry, repository, delivery }, attempt)
    } catch (error) {
      const outcome = failureOutcome(error, repository)
      if (outcome === undefined) throw error
      return outcome
    }
  }
}

async function deliver(
  parts: QueueCarrierParts,
  {
    entry,
    repository,
    delivery,
  }: { entry: Delivery; repository: Repository; delivery: ManifestDelivery },
  attempt: Attempt,
): Promise<DeliveryOutcome> {
  const namespace = parts.namespaces.find(repository.registry)
  if (namespace === undefined)
    return { kind: 'retry', reason: `${repository.registry} is no upstream now`, hint: undefined }
  const context: DeliveryContext = {
    ...parts,
    repository,
    upstream: namespace.upstream,
    policy: parts.policies.find(repository),
    signal: attempt.signal,
    fromRegistry: { signal: attempt.signal, endpoints: 'registry' },
    there: new Set(),
  }
  const { digest, tags } = delivery
  const bytes = await uploadManifest(context, delivery)
  const overtake = createOvertake(parts, repository, entry.id)
  const left = await putTags(context, { ...delivery, bytes }, { attempt, overtake })
  await listReferrer(context, { ...delivery, bytes }, attempt)
  const settled = { repository, digest, tags: tags.map(({ tag }) => tag), left }
  return { kind: 'delivered', settled }
}

function unreadable(): DeliveryOutcome {
  return {
    kind: 'park',
    reason: 'what this entry says cannot be read',
    hint: 'drop it, and push again what is not at the upstream',
  }
}

function repositoryFrom(key: string): Repository | undefined {
  try {
    return parseRepositoryKey(key)
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

interface Delivered {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/**
 * What refers to another manifest is listed as such at the upstream (R77, R115): by itself where
 * that has the referrers API, else by this edge, whose client was told that it need not see to it.
 * With the manifest at the upstream. The list is put as a tag is: one that arrived late would take
 * back what was listed since.
 * @throws UpstreamError, StoreError
 */
async function listReferrer(
  { upstream, repository: { name }, signal }: DeliveryContext,
  { digest, mediaType, bytes }: Delivered,
  attempt: Attempt,
): Promise<void> {
  const manifest = parseManifest(bytes, mediaType)
  const subject = manifest.subject?.digest
  if (subject === undefined) return
  const referrer = { subject, descriptor: referrerDescriptor(manifest, digest, bytes.length) }
  const put: PutList = (reference, list) =>
    attempt.send(() => upstream.putManifest(name, reference, list, signal), isFinalFailure)
  await keepReferrersList(upstream, name, { referrer, put, signal })
}
