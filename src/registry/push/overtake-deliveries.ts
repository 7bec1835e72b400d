// A push that goes to the upstream at once, into a repository whose earlier pushes were queued and
// are not all delivered: its tags are its own from now on, and no earlier entry may put them where
// they were (docs/adr/0012-outbox.md). Before anything is sent the entries are told what overtakes
// them, and where the tag was until then; when it is there, its tags are taken out of them. When it
// was refused they are told so, and whatever became of it, only a tag that it has moved is left to
// it.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import {
  type DeliveredTag,
  type Overtaking,
  parseDelivery,
} from '../deliveries/delivery-payload.ts'
import type { Delivery } from '../ports/outbox.ts'
import {
  carriesTag,
  changeEntry,
  type OvertakeDeps,
  takeTagFrom,
} from '../deliveries/overtake-tag.ts'

/**
 * As long as a request whose answer was never seen may take is minutes; clients come back by
 * themselves within this.
 */
const RETRY_AFTER_SECONDS = 60

export interface OvertakeDeliveriesDeps extends OvertakeDeps {
  /**
   * For how long a request of a delivery of this repository that is in the outbox no more may still
   * arrive at the upstream, in milliseconds. Default: there is none.
   */
  readonly unsettledMs?: ((key: string) => number) | undefined
}

/** What the entries of a key were told. */
export interface Announced {
  /** False: no entry carries any of the tags. */
  readonly any: boolean
  /**
   * Nothing pointed these tags to `digest`. Of `unknown` nobody knows whether something did: an
   * attempt that saw where it is looks again. MUST run in the same turn.
   * @throws StoreError
   */
  failed(tags: readonly Tag[], unknown: Tag | undefined): Promise<void>
}

export interface Announcement {
  readonly tags: readonly Tag[]
  readonly digest: Digest
  /** Where the upstream's tag points. @throws whatever makes that the push is not sent either */
  readonly whereIs: (tag: Tag) => Promise<Digest | undefined>
}

/**
 * From here on no attempt puts one of the tags where `digest` has been put. MUST run in the
 * repository's turn, before anything is sent. Durable when it resolves.
 * @throws RegistryError UNAVAILABLE while a request for one of the tags may still arrive;
 * StoreError; what `whereIs` throws
 */
export async function announceTags(
  deps: OvertakeDeliveriesDeps,
  repository: Repository,
  { tags, digest, whereIs }: Announcement,
): Promise<Announced> {
  const { catalog, unsettledMs = () => 0 } = deps
  const key = repositoryKey(repository)
  if (tags.length > 0 && unsettledMs(key) > 0) throw inDoubt(repository)
  const entries = tags.length === 0 ? [] : await catalog.listDeliveriesOf(key)
  const carrying = entries.filter(entry => tags.some(tag => carriesTag(entry, tag)))
  // Before any is told. An attempt puts its entry in doubt in this turn as well, and sees first
  // whether the entry has changed.
  if (carrying.some(entry => entry.inDoubt)) throw inDoubt(repository)
  /** Of each tag so far: where it is, or may come to be before the entry in hand is carried. */
  const from = new Map<Tag, Digest | undefined>()
  for (const tag of tags)
    if (carrying.some(entry => carriesTag(entry, tag))) from.set(tag, await whereIs(tag))
  const mark = catalog.sequence()
  const before = new Map<string, Overtaking | undefined>()
  for (const entry of carrying) {
    await changeTags(deps, repository, { entry, tags }, ({ tag, overtaking }) => {
      before.set(`${entry.id} ${tag}`, overtaking)
      // One of the same manifest that was never answered may have moved the tag.
      const isAgain = overtaking?.by === digest
      return { by: digest, from: isAgain ? overtaking.from : from.get(tag), mark }
    })
    if (parseDelivery(entry.payload)?.digest === digest)
      for (const tag of tags) if (carriesTag(entry, tag)) from.set(tag, digest)
  }
  return {
    any: carrying.length > 0,
    failed: async (failed, unknown) => {
      const next = catalog.sequence()
      for (const entry of carrying)
        await changeTags(deps, repository, { entry, tags: failed }, ({ tag, overtaking }) =>
          tag === unknown && overtaking !== undefined
            ? { ...overtaking, mark: next }
            : before.get(`${entry.id} ${tag}`),
        )
    },
  }
}

/** What is to be told of each of `tags` that the entry carries. */
async function changeTags(
  deps: OvertakeDeps,
  repository: Repository,
  { entry, tags }: { readonly entry: Delivery; readonly tags: readonly Tag[] },
  tell: (tag: DeliveredTag) => Overtaking | undefined,
): Promise<void> {
  if (!tags.some(tag => carriesTag(entry, tag))) return
  await changeEntry(deps, repository, entry.id, delivery => ({
    delivery: {
      ...delivery,
      tags: delivery.tags.map(each => {
        if (!tags.includes(each.tag)) return each
        const { overtaking: _, ...rest } = each
        const told = tell(each)
        return told === undefined ? rest : { ...rest, overtaking: told }
      }),
    },
  }))
}

/**
 * They are at the upstream. MUST run in the repository's turn, with the push recorded.
 * @throws StoreError
 */
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
