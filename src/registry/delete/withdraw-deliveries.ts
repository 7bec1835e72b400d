// What deleting tags and manifests means for the outbox: what was deleted here before it was
// delivered is not delivered any more.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { formatDelivery, parseDelivery } from '../deliveries/delivery-payload.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NewDelivery } from '../ports/outbox.ts'

export interface Deleted {
  readonly tags: ReadonlySet<Tag>
  /** Undefined when only a tag goes. */
  readonly digest: Digest | undefined
}

export interface Withdrawn {
  /** Of entries that carry nothing but what is deleted. */
  readonly drops: readonly number[]
  /** What entries are from now on that carry other tags as well. */
  readonly rests: readonly NewDelivery[]
}

/**
 * For the delete's own transaction: until that, they are what was acknowledged. MUST run in the
 * repository's turn.
 * @throws StoreError
 */
export async function withdrawDeliveries(
  catalog: Catalog,
  repository: Repository,
  deleted: Deleted,
): Promise<Withdrawn> {
  const drops: number[] = []
  const rests: NewDelivery[] = []
  for (const { id, payload, createdAtMs } of await catalog.listDeliveriesOf(
    repositoryKey(repository),
  )) {
    const delivery = parseDelivery(payload)
    if (delivery === undefined) continue
    const tags = delivery.tags.filter(({ tag }) => !deleted.tags.has(tag))
    const isWhole = tags.length === delivery.tags.length
    if (delivery.digest === deleted.digest || (tags.length === 0 && !isWhole)) drops.push(id)
    else if (!isWhole)
      rests.push(formatDelivery(repository, { ...delivery, tags }, { id, atMs: createdAtMs }))
  }
  return { drops, rests }
}
