// end-11: a blob of one repository becomes a member of another without being sent (R109). Whatever
// stands in the way is no error and looks the same to the client, which is told to send the blob:
// what it may not read does not exist for it (R182, R183).
import type { Digest } from '../../oci/digest.ts'
import { LOCALHOST, parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import type { BlobPushed } from '../answers.ts'
import { bestEffort } from '../best-effort.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import type { BlobOf, StoredContent } from '../content/content.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type Upstream, UpstreamError } from '../ports/upstream.ts'
import { type PushRules, requirePush } from '../refusals/push-refusal.ts'
import { mayGive } from '../routing/sharing.ts'
import { withFullDiskErrors } from './upload-refusal.ts'

export interface MountDeps extends PushRules {
  readonly content: StoredContent
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
  return deps.presence.record(repository, mount.digest, async of => {
    const kept = await deps.content.keepHere({ ...of, hold: 'awaited' })
    return kept.kind === 'kept' ? kept.blob : undefined
  })
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
    const { store, content, presence, note } = deps
    const here = (await mayGive(deps, from, { digest })) ? await store.find(digest) : undefined
    const sizeBytes = here?.sizeBytes ?? (await deps.catalog.sizeOf(from, digest))
    const ofRegistry = () => upstream.headBlob(repository.name, digest, { endpoints: 'registry' })
    const head = sizeBytes ?? (await ofRegistry()).sizeBytes
    const record = async (of: BlobOf) =>
      here === undefined ? undefined : content.recordHere({ ...of, hold: 'nothing' })
    await bestEffort(note, async () => {
      const isHere = (await presence.record(repository, digest, record)) !== undefined
      if (!isHere) await presence.recordElsewhere(repository, digest)
    })
    return head === undefined ? undefined : { digest, sizeBytes: head }
  } catch (error) {
    if (error instanceof UpstreamError) return undefined
    throw error
  }
}
