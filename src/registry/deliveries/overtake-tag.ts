// A later push of a tag overtakes the earlier ones that are still in the outbox: no earlier entry
// carries the tag any more, in its fact and in its row. So whenever it is delivered, the tag does
// not go back (docs/adr/0012-outbox.md).
import type { Repository, Tag } from '../../oci/reference.ts'
import { formatDelivery, type ManifestDelivery, parseDelivery } from './delivery-payload.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Delivery } from '../ports/outbox.ts'
import type { FactStore } from '../ports/facts.ts'

export interface OvertakeDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
}

export function carriesTag({ payload }: Pick<Delivery, 'payload'>, tag: Tag): boolean {
  return parseDelivery(payload)?.tags.some(each => each.tag === tag) ?? false
}

/**
 * Takes the tag out of one entry. MUST run in the repository's turn. Durable when it resolves.
 * @throws StoreError
 */
export async function takeTagFrom(
  deps: OvertakeDeps,
  repository: Repository,
  { tag, id }: { tag: Tag; id: number },
): Promise<void> {
  await changeEntry(deps, repository, id, delivery => ({
    delivery: { ...delivery, tags: delivery.tags.filter(each => each.tag !== tag) },
    alsoReason: `${tag} is left to a later push`,
  }))
}

/**
 * Rewrites what one entry carries, unless it is gone. MUST run in the repository's turn.
 * @throws StoreError
 */
export async function changeEntry(
  { catalog, facts }: OvertakeDeps,
  repository: Repository,
  id: number,
  change: (delivery: ManifestDelivery) => {
    readonly delivery: ManifestDelivery
    readonly alsoReason?: string
  },
): Promise<void> {
  // Read anew: it may have been dropped, or tried again.
  const entry = await catalog.findDelivery(id)
  const was = entry === undefined ? undefined : parseDelivery(entry.payload)
  if (entry === undefined || was === undefined) return
  const { delivery, ...told } = change(was)
  const rest = formatDelivery(repository, delivery, { id, atMs: entry.createdAtMs })
  // The fact first: a catalog that is built again from facts knows it as well.
  await facts.write([{ kind: 'delivery', ...rest }])
  // And nothing else: an attempt may have ended meanwhile, which is not in this turn.
  await catalog.changeDelivery(id, { ...told, payload: rest.payload })
}
