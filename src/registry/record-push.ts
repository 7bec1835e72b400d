// A pushed manifest becomes true: the facts beside the content, then the catalog's transaction, in which it is seen by everybody. When
// the catalog refuses, the facts say again what the catalog says, so that a catalog built from them later knows no push that nobody
// was told of.
import type { Digest } from '../oci/digest.ts'
import { repositoryKey } from '../oci/reference.ts'
import type { BecameKept } from './keep-listed.ts'
import { manifestKey, type NegativeCache } from './negative-cache.ts'
import type { ContentClass } from './ports/blob-store.ts'
import type { Catalog, RecordPush } from './ports/catalog.ts'
import type { Fact, FactIdentity, FactStore } from './ports/facts.ts'
import { restoreFacts, type RestoreDeps } from './restore-facts.ts'
import type { TagResolver } from './resolve-tag.ts'

export interface RecordPushDeps extends RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly negative: NegativeCache
  readonly tags: TagResolver
}

export interface PushToRecord extends RecordPush {
  readonly contentClass: ContentClass
  /** Listed, and only cached until now. */
  readonly alsoKept: readonly BecameKept[]
  /** Listed, and at the upstream alone. */
  readonly elsewhere: ReadonlySet<Digest>
}

/** Durable when it resolves. MUST run in the repository's turn, with the bytes stored. @throws StoreError */
export async function recordPushed(deps: RecordPushDeps, push: PushToRecord): Promise<void> {
  const { catalog, facts, negative, tags } = deps
  const { repository, manifest } = push
  const { digest } = manifest
  const written = push.contentClass === 'kept' ? factsOf(push) : []
  try {
    if (written.length > 0) await facts.write(written)
    // Right before the row: what an upstream says from here on, it says of what is there now.
    for (const tag of push.tags) tags.pushed(repository, tag)
    negative.forget(manifestKey(repository, { kind: 'digest', digest }))
    await catalog.recordPush(push)
  } catch (error) {
    await restoreFacts(deps, repository, { identities: written, atMs: push.atMs })
    throw error
  }
  // Not before the row: a crash in between must leave what was acknowledged, which is the delete.
  await facts.remove(outdatedBy(push))
}

function factsOf(push: PushToRecord): readonly Fact[] {
  const { manifest, tags, delivery, atMs } = push
  const repository = repositoryKey(push.repository)
  const { digest, mediaType } = manifest
  return [
    ...push.alsoKept.map(({ fact }) => fact).filter(fact => fact !== undefined),
    { kind: 'manifest', repository, digest, mediaType, atMs },
    ...tags.map(tag => ({ kind: 'tag', repository, tag, digest, atMs }) as const),
    ...(delivery === undefined ? [] : [{ kind: 'delivery', ...delivery } as const]),
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
