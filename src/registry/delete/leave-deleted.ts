// A client deletes, where it may, what an upstream has as well: that is a purge of it. What was
// pushed here leaves the disk after a grace instead (registry/collect/).
import type { Digest } from '../../oci/digest.ts'
import { type Repository, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import { type BeginGraceDeps, beginGrace } from '../time/grace.ts'
import type { Leaving } from '../leave/leaving.ts'
import type { Catalog } from '../ports/catalog.ts'

export interface LeaveDeletedDeps extends BeginGraceDeps {
  readonly leaving: Pick<Leaving, 'letGo'>
  /** Forgets what is remembered of these repositories, and what upstreams are asked now. */
  readonly forget: (isMeant: (key: RepositoryKey) => boolean) => void
  readonly catalog: Pick<Catalog, 'findContent' | 'stampLoose'>
}

/**
 * Runs `remove`, which takes it out of the repository. Resolves when what is only cached, and
 * nothing else needs, is off the disk; for other content the grace has begun.
 * @throws what `remove` throws; StoreError
 */
export async function leaveDeleted(
  deps: LeaveDeletedDeps,
  { repository, digest }: { readonly repository: Repository; readonly digest: Digest },
  remove: () => Promise<void>,
): Promise<void> {
  const { catalog, leaving, forget } = deps
  const content = await catalog.findContent(digest)
  await remove()
  await beginGrace(deps)
  if (content?.contentClass !== 'cached') return
  await leaving.letGo([digest], 'deleted')
  const key = repositoryKey(repository)
  forget(other => other === key)
}
