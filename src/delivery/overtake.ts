// A later push of a tag overtakes the earlier ones that were parked: from the moment on at which it may be put, no earlier entry carries
// it any more. So whatever the operator tries again later, the tag does not go back (docs/adr/0012-outbox.md).
import { repositoryKey, type Repository, type Tag } from '../oci/reference.ts'
import { formatDelivery, parseDelivery } from '../registry/deliveries.ts'
import type { Catalog, Delivery } from '../registry/ports/catalog.ts'
import type { FactStore } from '../registry/ports/facts.ts'

export interface OvertakeParts {
  readonly catalog: Catalog
  readonly facts: FactStore
}

/** Takes `tag` from every entry of the repository that is older than `before`. Durable when it resolves. @throws StoreError */
export async function overtake(
  parts: OvertakeParts,
  repository: Repository,
  { tag, before }: { tag: Tag; before: number },
): Promise<void> {
  const entries = await parts.catalog.listDeliveriesOf(repositoryKey(repository))
  for (const { id } of entries.filter(entry => entry.id < before))
    await overtakeOne(parts, repository, { tag, id })
}

async function overtakeOne(
  { catalog, facts }: OvertakeParts,
  repository: Repository,
  { tag, id }: { tag: Tag; id: number },
): Promise<void> {
  // Read anew: the operator may have dropped it, or tried it again.
  const entry = await catalog.findDelivery(id)
  const delivery = entry === undefined ? undefined : parseDelivery(entry.payload)
  if (entry === undefined || delivery?.tags.some(each => each.tag === tag) !== true) return
  const { createdAtMs: atMs, state, attempts, nextAtMs } = entry
  const tags = delivery.tags.filter(each => each.tag !== tag)
  const rest = formatDelivery(repository, { ...delivery, tags }, { id, atMs })
  // The fact first: a catalog that is built again from facts knows it as well.
  await facts.write([{ kind: 'delivery', ...rest }])
  const reason = overtakenReason(entry, tag)
  const { payload } = rest
  await catalog.changeDelivery(id, { state, attempts, nextAtMs, reason, payload })
  const isDropped = (await catalog.findDelivery(id)) === undefined
  if (isDropped) await facts.remove([{ kind: 'delivery', id }])
}

function overtakenReason({ reason }: Delivery, tag: Tag): string {
  const told = `${tag} is left to a later push`
  return reason === undefined ? told : `${reason}; ${told}`
}
