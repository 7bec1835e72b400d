// end-11: a blob of one repository becomes a member of another without being sent (R109). Whatever
// stands in the way is no error and looks the same to the client, which is told to send the blob:
// what it may not read does not exist for it (R182, R183).
import type { Digest } from '../../oci/digest.ts'
import { LOCALHOST, parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import type { BlobPushed } from '../answers.ts'
import { bestEffort } from '../best-effort.ts'
import type { BlobPresence } from '../blob-presence.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type Upstream, UpstreamError } from '../ports/upstream.ts'
import { type PushRules, requirePush } from '../push-refusal.ts'
import { mayGive } from '../sharing.ts'
import { withFullDiskErrors } from './upload-refusal.ts'

export interface MountDeps extends PushRules {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly note: NoteEvent
  readonly presence: BlobPresence
}

export interface Mount {
  readonly digest: Digest
  readonly from: Repository | undefined
  readonly mayReadAny: (repositories: readonly Repository[]) => boolean | Promise<boolean>
}

/**
 * A base image is in hundreds of repositories at most; one that may be read is found among so many,
 * or the blob is sent.
 */
const HOLDERS_MAX = 1_000

/** Undefined when the blob has to be sent. @throws RegistryError DENIED, UNAVAILABLE */
export async function mountBlob(
  deps: MountDeps,
  repository: Repository,
  mount: Mount,
): Promise<BlobPushed | undefined> {
  const way = requirePush(deps, repository)
  const blob = await withFullDiskErrors(deps.note, () =>
    way.mode === 'forward'
      ? mountUpstream(deps, repository, { mount, upstream: way.namespace.upstream })
      : mountHere(deps, repository, mount),
  )
  if (blob === undefined) return undefined
  const { sizeBytes } = blob
  deps.note({ kind: 'pushed', repository, what: 'blob', mode: way.mode, sizeBytes })
  return blob
}

async function mountHere(
  deps: MountDeps,
  repository: Repository,
  mount: Mount,
): Promise<BlobPushed | undefined> {
  if (!(await isReadable(deps, repository, mount))) return undefined
  const blob = await keep(deps, mount.digest)
  if (blob === undefined) return undefined
  await deps.presence.record(repository, { ...blob, contentClass: 'kept' })
  return blob
}

/** Is there a repository to take it from? */
async function isReadable(
  deps: MountDeps,
  { registry }: Repository,
  { digest, from, mayReadAny }: Mount,
): Promise<boolean> {
  if (from !== undefined) {
    return from.registry === registry && (await mayGive(deps, from, { digest }))
  }
  if (registry !== LOCALHOST) return false
  const holders = await deps.catalog.listHolders(digest, { registry, limit: HOLDERS_MAX })
  return holders.length > 0 && mayReadAny(holders.map(parseRepositoryKey))
}

/** Makes the bytes durable, unless they were when they came. Undefined when they are not here. */
async function keep(
  { store, catalog }: MountDeps,
  digest: Digest,
): Promise<BlobPushed | undefined> {
  const content = await catalog.findContent(digest)
  return content?.contentClass === 'kept' ? store.find(digest) : store.keep(digest)
}

/**
 * By the upstream's own mount, if it can: a refusal of any kind says that it rather wants the
 * bytes.
 */
async function mountUpstream(
  deps: MountDeps,
  repository: Repository,
  { mount, upstream }: { mount: Mount; upstream: Upstream },
): Promise<BlobPushed | undefined> {
  const { digest, from } = mount
  if (from === undefined || from.registry !== repository.registry) return undefined
  try {
    if (!(await upstream.mountBlob(repository.name, digest, from.name))) return undefined
    const here = (await mayGive(deps, from, { digest })) ? await deps.store.find(digest) : undefined
    const sizeBytes = here?.sizeBytes ?? (await deps.catalog.sizeOf(from, digest))
    const ofRegistry = () => upstream.headBlob(repository.name, digest, { endpoints: 'registry' })
    const head = sizeBytes ?? (await ofRegistry()).sizeBytes
    await bestEffort(deps.note, () =>
      here === undefined
        ? deps.presence.recordElsewhere(repository, digest)
        : deps.presence.record(repository, { ...here, contentClass: 'cached' }),
    )
    return head === undefined ? undefined : { digest, sizeBytes: head }
  } catch (error) {
    if (error instanceof UpstreamError) return undefined
    throw error
  }
}
