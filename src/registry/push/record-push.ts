// A pushed manifest becomes true: the facts beside the content, then the catalog's transaction, in which it is seen by everybody. When
// the catalog refuses, the facts say again what the catalog says, so that a catalog built from them later knows no push that nobody
// was told of.
import type { Digest } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/reference.ts'
import type { BlobPresence } from '../upload/blob-presence.ts'
import type { BecameKept } from './keep-listed.ts'
import { manifestKey, type NegativeCache } from '../negative-cache.ts'
import type { ContentClass } from '../ports/blob-store.ts'
import type { Catalog, Edge, RecordPush } from '../ports/catalog.ts'
import type { Fact, FactIdentity, FactStore } from '../ports/facts.ts'
import { restoreFacts, type RestoreDeps } from '../rebuild/restore-facts.ts'
import type { TagResolver } from '../pull/resolve-tag.ts'

export interface RecordPushDeps extends RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly negative: NegativeCache
  readonly tags: TagResolver
  readonly presence: BlobPresence
}

export interface PushToRecord extends Omit<RecordPush, 'elsewhere'> {
  readonly contentClass: ContentClass
  /** Listed, and only cached until now. */
  readonly alsoKept: readonly BecameKept[]
  /** Listed, and at the upstream alone. */
  readonly elsewhere: ReadonlySet<Digest>
}

/** Durable when it resolves. MUST run in the repository's turn, with the bytes stored. @throws StoreError */
export async function recordPushed(deps: RecordPushDeps, push: PushToRecord): Promise<void> {
  if (push.contentClass !== 'kept') return record(deps, push, [])
  const { catalog, presence } = deps
  const listed = (await listedBy(catalog, push)).filter(digest => !push.elsewhere.has(digest))
  await presence.whileAbsent(push.repository, listed, absent =>
    record(deps, push, factsOf(push, absent)),
  )
}

/** By the manifest, and by those that get a fact with it: whoever reads the facts later has nothing but what they list. */
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
  return edges.filter(({ kind }) => kind !== 'subject').map(({ child }) => child)
}

async function record(
  deps: RecordPushDeps,
  push: PushToRecord,
  steps: readonly (readonly Fact[])[],
): Promise<void> {
  const { catalog, facts, negative, tags } = deps
  const { alsoKept: _, elsewhere, ...row } = push
  const { repository, manifest } = push
  const { digest } = manifest
  try {
    for (const written of steps) if (written.length > 0) await facts.write(written)
    // Right before the row: what an upstream says from here on, it says of what is there now.
    for (const tag of push.tags) tags.pushed(repository, tag)
    negative.forget(manifestKey(repository, { kind: 'digest', digest }))
    await catalog.recordPush({ ...row, elsewhere: [...elsewhere] })
  } catch (error) {
    await restoreFacts(deps, repository, { identities: steps.flat(), atMs: push.atMs })
    throw error
  }
  // Not before the row: a crash in between must leave what was acknowledged, which is the delete.
  await facts.remove(outdatedBy(push))
}

/**
 * Each step durable before the next: of one step a power cut leaves any. A tag takes the place of what it said before, which was acknowledged,
 * so it comes last, when all is there that it leads to.
 *
 * @param absent listed, and no member. A tombstone tells a catalog that is built from the facts that they prove nothing of it (R179)
 */
function factsOf(push: PushToRecord, absent: readonly Digest[]): readonly (readonly Fact[])[] {
  const { manifest, tags, delivery, atMs } = push
  const repository = repositoryKey(push.repository)
  const { digest, mediaType } = manifest
  return [
    absent.map(each => ({ kind: 'deleted', repository, digest: each, atMs }) as const),
    [
      ...push.alsoKept.map(({ fact }) => fact).filter(fact => fact !== undefined),
      { kind: 'manifest', repository, digest, mediaType, atMs },
      ...(delivery === undefined ? [] : [{ kind: 'delivery', ...delivery } as const]),
    ],
    tags.map(tag => ({ kind: 'tag', repository, tag, digest, atMs }) as const),
  ]
}

/** Tombstones of what belongs here again; and, of a push that only passed through, what the tags were when pushes were kept here. */
function outdatedBy(push: PushToRecord): readonly FactIdentity[] {
  const repository = repositoryKey(push.repository)
  const digests = [
    push.manifest.digest,
    ...push.alsoKept.map(({ digest }) => digest),
    ...push.elsewhere,
  ]
  const deleted = digests.map(digest => ({ kind: 'deleted', repository, digest }) as const)
  if (push.contentClass === 'kept') return deleted
  return [...deleted, ...push.tags.map(tag => ({ kind: 'tag', repository, tag }) as const)]
}
