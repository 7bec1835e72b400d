// A push that goes to the upstream at once, into a repository whose earlier pushes were queued and are not all delivered: its tags are its
// own from now on, and no earlier entry may put them where they were (docs/adr/0012-outbox.md). Before anything is sent the entries are
// told what overtakes them, which costs none of them anything should it fail; when it is there, its tags are taken out of them.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { carriesTag, changeEntry, type OvertakeDeps, takeTagFrom } from '../overtake-tag.ts'

/** As long as a request whose answer was never seen may take is minutes; clients come back by themselves within this. */
const RETRY_AFTER_SECONDS = 60

export interface OvertakeDeliveriesDeps extends OvertakeDeps {
  /**
   * For how long a request of a delivery of this repository that is in the outbox no more may still arrive at the upstream, in milliseconds.
   * Default: there is none.
   */
  readonly unsettledMs?: ((key: string) => number) | undefined
}

/**
 * From here on no attempt puts one of the tags where `digest` is. MUST run in the repository's turn, before anything is sent. Durable when
 * it resolves. @throws RegistryError UNAVAILABLE while a request for one of the tags may still arrive; StoreError
 */
export async function announceTags(
  deps: OvertakeDeliveriesDeps,
  repository: Repository,
  { tags, digest }: { readonly tags: readonly Tag[]; readonly digest: Digest },
): Promise<void> {
  if (tags.length === 0) return
  const { catalog, unsettledMs = () => 0 } = deps
  const key = repositoryKey(repository)
  if (unsettledMs(key) > 0) throw inDoubt(repository)
  for (const entry of await catalog.listDeliveriesOf(key)) {
    if (!tags.some(tag => carriesTag(entry, tag))) continue
    await changeEntry(deps, repository, entry.id, delivery => ({
      delivery: {
        ...delivery,
        tags: delivery.tags.map(each =>
          tags.includes(each.tag) ? { ...each, overtakenBy: digest } : each,
        ),
      },
      reason: entry.reason,
    }))
    // Not before: an attempt that has not sent anything yet sees that its entry has changed, and one that has shows here.
    if ((await catalog.findDelivery(entry.id))?.inDoubt === true) throw inDoubt(repository)
  }
}

/** They are at the upstream. MUST run in the repository's turn, with the push recorded. @throws StoreError */
export async function takeTags(
  deps: OvertakeDeps,
  repository: Repository,
  tags: readonly Tag[],
): Promise<void> {
  if (tags.length === 0) return
  const entries = await deps.catalog.listDeliveriesOf(repositoryKey(repository))
  for (const entry of entries)
    for (const tag of tags)
      if (carriesTag(entry, tag)) await takeTagFrom(deps, repository, { tag, id: entry.id })
}

function inDoubt(repository: Repository): RegistryError {
  return new RegistryError(
    'UNAVAILABLE',
    `an earlier push to ${repositoryKey(repository)} is on its way to ${repository.registry}, and would undo this one if it arrived after it: push again in a few minutes`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}
