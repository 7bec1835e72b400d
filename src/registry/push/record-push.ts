// A pushed manifest becomes true: the facts beside the content, then the catalog's transaction, in
// which it is seen by everybody. When the catalog refuses, the facts say again what the catalog
// says, so that a catalog built from them later knows no push that nobody was told of.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { isListed } from '../content/edges.ts'
import { filterFew } from '../../async/few-at-once.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import type { StoredContent } from '../content/content.ts'
import type { BecomesKept } from './keep-listed.ts'
import { manifestKey, type NegativeCache } from '../negative-cache.ts'
import type { Edge } from '../ports/catalog-content.ts'
import type { RecordPush } from '../ports/catalog-pushes.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Fact, FactIdentity, FactStore } from '../ports/facts.ts'
import { type KeptManifestFact, pushedManifestFact } from '../facts/kept-manifest.ts'
import { restoreFacts, type RestoreDeps } from '../facts/restore-facts.ts'
import type { TagResolver } from '../pull/resolve-tag.ts'
import { type UnknownDeps, UnknownFacts } from '../facts/unknown-facts.ts'

/** Looks at the disk at a time. */
const LOOKS_AT_ONCE = 4

export interface RecordPushDeps extends RestoreDeps, UnknownDeps {
  readonly content: StoredContent
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly negative: NegativeCache
  readonly tags: TagResolver
  readonly presence: BlobPresence
}

export interface PushToRecord extends Omit<RecordPush, 'confirmed' | 'completes'> {
  /** Of the manifest. */
  readonly bytes: Uint8Array
  /** Listed, and only cached until now. */
  readonly alsoKept: readonly BecomesKept[]
  /** Listed, and at the upstream alone. */
  readonly confirmed: ReadonlySet<Digest>
}

/**
 * Durable when it resolves: bytes, facts, row. MUST run in the repository's turn.
 * @throws StoreError; RegistryError MANIFEST_INVALID as `pushedManifestFact`
 */
export async function recordPushed(deps: RecordPushDeps, push: PushToRecord): Promise<void> {
  if (push.hold === 'nothing') return record(deps, push, [{ remove: tagsOf(push) }])
  const { catalog, presence } = deps
  const listed = (await listedBy(catalog, push)).filter(digest => !push.confirmed.has(digest))
  await presence.whileAbsent(push.repository, listed, async absent => {
    const fact = await pushedManifestFact(catalog, push.repository, {
      ...push,
      isImported: push.hold === 'imported' || (await isImported(catalog, push)),
    })
    await record(
      deps,
      push,
      changesOf(push, fact, await withoutFact(deps, push.repository, absent)),
    )
  })
  await presence.affirm(push.repository, listed)
}

/** Before, and is pushed now: it stays imported as well. */
async function isImported(catalog: Catalog, { repository, manifest }: PushToRecord) {
  return (await catalog.holdsOf(repository, manifest.digest)).includes('imported')
}

/**
 * Those of `absent` that cost a tombstone. One that is there says the same, so that to tag a
 * manifest once more costs none; and what has a manifest's fact was pushed, and lost with its
 * bytes: a tombstone would take it away should they come back.
 * @throws StoreError io
 */
export function withoutFact(
  { facts }: Pick<RecordPushDeps, 'facts'>,
  repository: Repository,
  absent: readonly Digest[],
): Promise<readonly Digest[]> {
  const key = repositoryKey(repository)
  return filterFew(absent, LOOKS_AT_ONCE, async digest => {
    const tombstone = await facts.find({ kind: 'deleted', repository: key, digest })
    // One that cannot be read tells a catalog that is built from the facts nothing.
    if (tombstone !== undefined && tombstone !== 'unreadable') return false
    return !(await facts.has({ kind: 'manifest', repository: key, digest }))
  })
}

/**
 * By the manifest, and by those that get a fact with it: whoever reads the facts later has nothing
 * but what they list.
 */
async function listedBy(
  catalog: Catalog,
  { repository, manifest, alsoKept }: PushToRecord,
): Promise<readonly Digest[]> {
  const listed = [...childrenOf(manifest.edges)]
  for (const { fact, digest } of alsoKept) {
    const also = fact === undefined ? undefined : await catalog.findManifest(repository, digest)
    listed.push(...childrenOf(also?.edges ?? []))
  }
  return [...new Set(listed)]
}

function childrenOf(edges: readonly Edge[]): readonly Digest[] {
  return edges.filter(isListed).map(({ child }) => child)
}

/** Of one change a power cut leaves any part; the next one is begun when it is durable. */
interface Change {
  readonly write?: readonly Fact[]
  readonly remove?: readonly FactIdentity[]
}

async function record(
  deps: RecordPushDeps,
  push: PushToRecord,
  changes: readonly Change[],
): Promise<void> {
  const { alsoKept: _, bytes, confirmed, ...row } = push
  const pushed = { ...row, confirmed: [...confirmed], completes: true }
  await deps.content.pushManifest(pushed, bytes, recordRow =>
    recordBetweenFacts(deps, push, { changes, recordRow }),
  )
}

async function recordBetweenFacts(
  deps: RecordPushDeps,
  push: PushToRecord,
  { changes, recordRow }: { changes: readonly Change[]; recordRow: () => Promise<void> },
): Promise<void> {
  const { facts, negative, tags, stock } = deps
  const { repository, manifest } = push
  const { digest } = manifest
  const outdated = { remove: outdatedBy(push) }
  const identities = [...changes, outdated].flatMap(identitiesOf)
  const unknown = await UnknownFacts.of(deps, identities)
  // What may not be as it was. What nobody has touched is not written anew, least of all on a full
  // disk, where that takes of the room by which it is emptied.
  let begun: readonly FactIdentity[] = []
  let isRecorded = false
  try {
    for (const change of changes) {
      begun = [...begun, ...identitiesOf(change)]
      await carryOut(facts, [change], each => !unknown.has(each))
    }
    begun = identities
    // Right before the row: what an upstream says from here on, it says of what is there now.
    for (const tag of push.tags) tags.pushed(repository, tag)
    negative.forget(manifestKey(repository, { kind: 'digest', digest }))
    await recordRow()
    isRecorded = true
    // Not before the row: a crash in between must leave what was acknowledged, which is the delete,
    // and what the catalog did not know until now.
    await carryOut(facts, [outdated])
    await carryOut(facts, changes, each => unknown.has(each))
  } catch (error) {
    await restoreFacts(deps, { identities: begun, atMs: push.atMs, unknown })
    throw error
  } finally {
    // Known from the row on, also where what comes behind it failed.
    if (isRecorded && !unknown.isEmpty) stock?.lookAgain()
  }
}

function identitiesOf({ write = [], remove = [] }: Change): readonly FactIdentity[] {
  return [...write, ...remove]
}

/** One after the other; of each what `isMeant`, by default all. @throws StoreError */
async function carryOut(
  facts: FactStore,
  changes: readonly Change[],
  isMeant: (identity: FactIdentity) => boolean = () => true,
): Promise<void> {
  for (const { write = [], remove = [] } of changes) {
    const [written, removed] = [write.filter(isMeant), remove.filter(isMeant)]
    if (written.length > 0) await facts.write(written)
    if (removed.length > 0) await facts.remove(removed)
  }
}

/**
 * Before the row, in this order. A tag's fact takes the place of what was acknowledged, so it comes
 * last, when all is durable that it leads to; and the tombstone of that has gone, which would take
 * the tag along.
 *
 * @param absent listed as being here, and no member. A tombstone tells a catalog that is built from
 * the facts that they prove nothing of it (R179)
 */
function changesOf(
  push: PushToRecord,
  fact: KeptManifestFact,
  absent: readonly Digest[],
): readonly Change[] {
  const { tags, delivery, atMs, order } = push
  const ordered = order === undefined ? {} : { order }
  const imported = push.hold === 'imported' ? ({ imported: true } as const) : {}
  const { repository, digest } = fact
  const before: readonly Change[] = [
    { write: absent.map(each => ({ kind: 'deleted', repository, digest: each, atMs })) },
    {
      write: [
        ...push.alsoKept.map(also => also.fact).filter(each => each !== undefined),
        fact,
        ...(delivery === undefined ? [] : [{ kind: 'delivery', ...delivery } as const]),
      ],
    },
  ]
  if (tags.length === 0) return before
  return [
    ...before,
    { remove: [{ kind: 'deleted', repository, digest }] },
    {
      write: tags.map(tag => ({
        kind: 'tag',
        repository,
        tag,
        digest,
        atMs,
        ...imported,
        ...ordered,
      })),
    },
  ]
}

/** Of a push that only passed through: what its tags were when pushes were kept here. */
function tagsOf({ repository, tags }: PushToRecord): readonly FactIdentity[] {
  return tags.map(tag => ({ kind: 'tag', repository: repositoryKey(repository), tag }))
}

/** Tombstones of what belongs here again. */
function outdatedBy(push: PushToRecord): readonly FactIdentity[] {
  const { manifest, tags, hold, alsoKept, confirmed } = push
  const repository = repositoryKey(push.repository)
  const isKept = hold !== 'nothing'
  // That of a manifest which is kept under a tag has gone before the tag came.
  const pushed = isKept && tags.length > 0 ? [] : [manifest.digest]
  const digests = [...pushed, ...alsoKept.map(({ digest }) => digest), ...confirmed]
  return digests.map(digest => ({ kind: 'deleted', repository, digest }))
}
