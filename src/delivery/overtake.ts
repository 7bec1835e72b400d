// Right before an entry may put a tag, the tag is taken out of the earlier entries: those were
// parked, and whatever the operator tries again later, the tag does not go back
// (docs/adr/0012-outbox.md).
import { repositoryKey, type Repository, type Tag } from '../oci/reference.ts'
import { carriesTag, type OvertakeDeps, takeTagFrom } from '../registry/overtake-tag.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import type { Turns } from '../async/turns.ts'

export interface OvertakeParts extends OvertakeDeps {
  readonly turns: Pick<Turns, 'take'>
}

/**
 * Takes a tag from every entry of the repository that is older than `before`. Durable when it
 * resolves.
 * @throws StoreError
 */
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
    const carrying = known.filter(entry => carriesTag(entry, tag))
    if (carrying.length === 0) return
    // In its turn: no delete or operator takes them out meanwhile.
    await parts.turns.take(key, async () => {
      for (const { id } of carrying) await takeTagFrom(parts, repository, { tag, id })
    })
  }
}
