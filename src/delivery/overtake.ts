// A later push of a tag overtakes the earlier ones that were parked: from the moment on at which it may be put, no earlier entry carries
// it any more. So whatever the operator tries again later, the tag does not go back (docs/adr/0012-outbox.md).
import { repositoryKey, type Repository, type Tag } from '../oci/reference.ts'
import { formatDelivery, parseDelivery } from '../registry/deliveries.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/deliveries.ts'
import type { FactStore } from '../registry/ports/facts.ts'
import type { Turns } from '../registry/turns.ts'

export interface OvertakeParts {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly turns: Pick<Turns, 'take'>
}

/** Takes a tag from every entry of the repository that is older than `before`. Durable when it resolves. @throws StoreError */
export function createOvertake(
  parts: OvertakeParts,
  repository: Repository,
  before: number,
): (tag: Tag) => Promise<void> {
  const key = repositoryKey(repository)
  // Asked once for all tags: none comes to be older.
  let known: readonly Delivery[] | undefined
  return async tag => {
    known ??= (await parts.catalog.listDeliveriesOf(key)).filter(({ id }) => id < before)
    const carrying = known.filter(({ payload }) => carries(payload, tag))
    if (carrying.length === 0) return
    // In its turn: no delete or operator takes them out meanwhile.
    await parts.turns.take(key, async () => {
      for (const { id } of carrying) await overtakeOne(parts, repository, { tag, id })
    })
  }
}

function carries(payload: string, tag: Tag): boolean {
  return parseDelivery(payload)?.tags.some(each => each.tag === tag) ?? false
}

async function overtakeOne(
  { catalog, facts }: OvertakeParts,
  repository: Repository,
  { tag, id }: { tag: Tag; id: number },
): Promise<void> {
  // Read anew: it may have been dropped, or tried again.
  const entry = await catalog.findDelivery(id)
  const delivery = entry === undefined ? undefined : parseDelivery(entry.payload)
  if (entry === undefined || delivery === undefined) return
  const { createdAtMs: atMs, state, attempts, nextAtMs } = entry
  const tags = delivery.tags.filter(each => each.tag !== tag)
  const rest = formatDelivery(repository, { ...delivery, tags }, { id, atMs })
  // The fact first: a catalog that is built again from facts knows it as well.
  await facts.write([{ kind: 'delivery', ...rest }])
  const reason = overtakenReason(entry, tag)
  const { payload } = rest
  await catalog.changeDelivery(id, { state, attempts, nextAtMs, reason, payload })
}

function overtakenReason({ reason }: Delivery, tag: Tag): string {
  const told = `${tag} is left to a later push`
  return reason === undefined ? told : `${reason}; ${told}`
}
