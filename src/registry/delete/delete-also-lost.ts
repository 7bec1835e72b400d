// A client deletes a manifest, which may be one that is lost: then it is given up. What immutable
// tags lead to stays, also where that is known of the facts alone, or may be.
import { type Reference, type Repository, repositoryKey } from '../../oci/reference.ts'
import { deleteManifest } from './delete-manifest.ts'
import { requireDeletable } from './delete-refusal.ts'
import { findLostManifest, giveUp, type LostDeps, type LostManifest } from './lost-manifest.ts'
import { type ClearTagsDeps, requireClearTags } from './require-clear-tags.ts'
import { requireUnbound } from './require-unbound.ts'

/**
 * `deleteManifest`, also of one that is lost, which has no tags that could be deleted before it.
 * @throws as that does
 */
export async function deleteAlsoLost(
  deps: ClearTagsDeps,
  repository: Repository,
  reference: Reference,
): Promise<void> {
  requireDeletable(deps.policies, repository)
  if (reference.kind === 'digest') {
    await requireClearTags(deps, repository)
    const lost = await findLostManifest(deps, { repository, digest: reference.digest })
    if (lost !== undefined && (await deleteLost(deps, lost))) return
  }
  await deleteManifest(deps, repository, reference)
}

/** False when it is not lost any more. */
async function deleteLost(deps: LostDeps, lost: LostManifest): Promise<boolean> {
  const { turns, stock } = deps
  const { repository, digest } = lost
  return turns.take(repositoryKey(repository), async () => {
    await requireUnbound(deps, repository, { kind: 'digest', digest })
    let isGivenUp = true
    try {
      isGivenUp = await giveUp(deps, lost)
      return isGivenUp
    } finally {
      // Also where it failed: nobody else finds out what is left of it.
      if (isGivenUp) stock?.lookAgain()
    }
  })
}
