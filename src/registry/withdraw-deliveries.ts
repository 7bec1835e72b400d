// What deleting tags and manifests means for the outbox: what was deleted here before it was delivered is not delivered any more.
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../oci/reference.ts'
import { formatDelivery, type ManifestDelivery, parseDelivery } from './deliveries.ts'
import type { Catalog, Delivery } from './ports/catalog.ts'
import type { FactStore } from './ports/facts.ts'

export interface Deleted {
  readonly tags: ReadonlySet<Tag>
  /** Undefined when only a tag goes. */
  readonly digest: Digest | undefined
}

/**
 * Takes deleted tags from the entries that carry others as well; durable when it resolves. Returns the ids of those that carry nothing
 * but what is deleted, for the delete's own transaction. MUST run in the repository's turn. @throws StoreError
 */
export async function withdrawDeliveries(
  parts: { readonly catalog: Catalog; readonly facts: FactStore },
  repository: Repository,
  deleted: Deleted,
): Promise<readonly number[]> {
  const dropped: number[] = []
  for (const entry of await parts.catalog.listDeliveriesOf(repositoryKey(repository))) {
    const delivery = parseDelivery(entry.payload)
    if (delivery === undefined) continue
    const rest = delivery.tags.filter(({ tag }) => !deleted.tags.has(tag))
    const isWhole = rest.length === delivery.tags.length
    if (delivery.digest === deleted.digest || (rest.length === 0 && !isWhole))
      dropped.push(entry.id)
    else if (!isWhole)
      await replace(parts, repository, { entry, delivery: { ...delivery, tags: rest } })
  }
  return dropped
}

/** The fact first: a catalog that is built from facts must not bring a tag back. */
async function replace(
  { catalog, facts }: { readonly catalog: Catalog; readonly facts: FactStore },
  repository: Repository,
  { entry, delivery }: { entry: Delivery; delivery: ManifestDelivery },
): Promise<void> {
  const { id, createdAtMs: atMs, state, attempts, nextAtMs, reason } = entry
  const fact = formatDelivery(repository, delivery, { id, atMs })
  await facts.write([{ kind: 'delivery', ...fact }])
  const { payload } = fact
  await catalog.changeDelivery(id, { state, attempts, nextAtMs, reason, payload })
}
