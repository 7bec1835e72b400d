// The outbox entry of a push into a queue: what is to be brought to the upstream, and what its tags
// may have been there before. Bounded: a full outbox refuses pushes rather than let the disk run
// full of what nobody fetches.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import {
  type DeliveredTag,
  EXPECTED_MAX,
  formatDelivery,
  type ManifestDelivery,
  parseDelivery,
} from '../deliveries/delivery-payload.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NewDelivery } from '../ports/outbox.ts'
import type { FactStore } from '../ports/facts.ts'

/** Some 50 MB of catalog, and hours of work for any upstream. */
export const OUTBOX_MAX = 100_000
/** One that is stuck leaves room for the others. */
export const OUTBOX_REPOSITORY_MAX = 10_000
/** Of the 64 KiB that an entry may take, what its tags may. */
const TAGS_BYTES = 56 * 1024
/**
 * One tag of 128 characters with its names and quotes, and what may overtake it from where; and one
 * sha512 digest with its quotes.
 */
const TAG_BYTES = 512
const DIGEST_BYTES = 140
/** An upstream has to come back first, or an operator: clients wait no longer than this (R124). */
const RETRY_AFTER_SECONDS = 60

export interface QueuedManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly tags: readonly Tag[]
}

export interface Queued {
  readonly manifest: QueuedManifest
  /** Where tags point at the upstream that are not known here. */
  readonly learned: ReadonlyMap<Tag, Digest>
  readonly atMs: number
}

/**
 * MUST run in the repository's turn, right before the entry is recorded.
 * @throws RegistryError UNAVAILABLE when the outbox is full; StoreError
 */
export async function newDelivery(
  { catalog, facts }: { readonly catalog: Catalog; readonly facts: FactStore },
  repository: Repository,
  { manifest, learned, atMs }: Queued,
): Promise<NewDelivery> {
  // Before the tags: what is delivered in between is no longer local then.
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  await requireRoom(catalog, repository, entries.length)
  const waiting = entries.map(({ payload }) => parseDelivery(payload))
  const undelivered = waiting.filter(each => each !== undefined)
  const most = expectedMax(manifest.tags.length)
  const tags: DeliveredTag[] = []
  for (const tag of manifest.tags) {
    const known = await catalog.findTag(repository, tag)
    const expected = expectedOf(tag, { known, undelivered, learned: learned.get(tag) })
    tags.push({ tag, expected: expected.slice(-most) })
  }
  const id = await unusedId({ catalog, facts })
  return formatDelivery(repository, { ...manifest, tags }, { id, atMs })
}

/**
 * An entry from before the catalog was lost, whose fact could not be read when this one was built,
 * may have any number, and keeps it.
 */
async function unusedId({ catalog, facts }: Parameters<typeof newDelivery>[0]): Promise<number> {
  for (;;) {
    const id = catalog.sequence()
    if (!(await facts.has({ kind: 'delivery', id }))) return id
  }
}

async function requireRoom(
  catalog: Catalog,
  repository: Repository,
  ofRepository: number,
): Promise<void> {
  const totals = await catalog.outboxTotals()
  const all = totals.reduce((sum, { waiting, parked }) => sum + waiting + parked, 0)
  if (all < OUTBOX_MAX && ofRepository < OUTBOX_REPOSITORY_MAX) return
  const what = all < OUTBOX_MAX ? repositoryKey(repository) : 'this edge'
  throw new RegistryError(
    'UNAVAILABLE',
    `the queue of ${what} is full: ${all < OUTBOX_MAX ? ofRepository : all} pushes wait to be delivered; push again when ${repository.registry} has taken some, or its operator has looked at "entrepot queue ls"`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  )
}

/** Where the upstream's tag may point when the entry is delivered, oldest first. */
function expectedOf(
  tag: Tag,
  knowledge: {
    known: { digest: Digest; local: boolean } | undefined
    undelivered: readonly ManifestDelivery[]
    learned: Digest | undefined
  },
): readonly Digest[] {
  const { known, undelivered, learned } = knowledge
  if (known === undefined) return learned === undefined ? [] : [learned]
  if (!known.local) return [known.digest]
  const earlier = undelivered.flatMap(({ digest, tags }) => {
    const carried = tags.find(each => each.tag === tag)
    return carried === undefined ? [] : [...carried.expected, digest]
  })
  // Kept here alone so far: should the upstream have something else under this tag, nobody here has
  // seen it.
  const expected = earlier.length === 0 ? [known.digest] : earlier
  return [...new Set(expected)]
}

/** Many tags share the room of one entry. */
function expectedMax(tags: number): number {
  const fitting = Math.floor((TAGS_BYTES / tags - TAG_BYTES) / DIGEST_BYTES)
  return Math.min(EXPECTED_MAX, fitting)
}
