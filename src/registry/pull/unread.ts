// What was pushed here, and was not found, though the disk does not say that it is gone: to be told
// that it is unknown would be a lie, and programs that mirror delete what is. Asked where a pull
// has failed, and nowhere else.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import { StoreError } from '../ports/store-error.ts'
import { mayGive, type SharingDeps } from '../routing/sharing.ts'

export interface UnreadDeps {
  readonly catalog: Pick<Catalog, 'findContent'>
  readonly store: Pick<BlobStore, 'look'>
}

export interface NotFound {
  readonly digest: Digest
  /** Would whoever asks have been given it? */
  readonly isTheirs: () => Promise<boolean>
}

export function blobNotFound(deps: SharingDeps, repository: Repository, digest: Digest): NotFound {
  return { digest, isTheirs: () => mayGive(deps, repository, { digest }) }
}

export function manifestNotFound(
  catalog: Pick<Catalog, 'findManifest'>,
  repository: Repository,
  digest: Digest,
): NotFound {
  const isTheirs = async () => (await catalog.findManifest(repository, digest)) !== undefined
  return { digest, isTheirs }
}

/**
 * Runs `ask`, which looks elsewhere for what was not found here.
 * @throws StoreError io, where that fails and it may be here after all; else what `ask` throws
 */
export async function unlessUnread<Answer>(
  deps: UnreadDeps,
  notFound: NotFound,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    await requireGone(deps, notFound)
    throw error
  }
}

/**
 * What is here now, and was not a moment ago, is to be asked for again. No effect for what nobody
 * has pushed.
 * @throws StoreError
 */
export async function requireGone(
  { catalog, store }: UnreadDeps,
  { digest, isTheirs }: NotFound,
): Promise<void> {
  if ((await catalog.findContent(digest))?.contentClass !== 'kept') return
  if (!(await isTheirs()) || (await store.look(digest)) === 'none') return
  throw new StoreError('io', `${digest} was pushed here, and could not be read`, {
    hint: 'see the kernel log (dmesg) for the disk of this edge',
  })
}
