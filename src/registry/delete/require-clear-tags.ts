// A manifest that is lost, and that an immutable tag leads to: what it lists nobody knows, so
// nothing that may be of it is deleted until it is found, or an operator gives it up. So it is
// while a fact cannot be read, which may be of such a tag.
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { DENIED } from '../routing/repository-policy.ts'
import { type KnownLostTags, type LostDeps, stillLost } from './lost-manifest.ts'

export interface ClearTagsDeps extends LostDeps {
  readonly lostTags: Pick<KnownLostTags, 'find'>
}

/** MUST NOT run in the repository's turn. @throws RegistryError DENIED; StoreError */
export async function requireClearTags(deps: ClearTagsDeps, repository: Repository): Promise<void> {
  const { policies, stock, turns, lostTags } = deps
  const { isImmutable } = policies.find(repository)
  if (isImmutable === DENIED.isImmutable || stock?.isAllFound === true) return
  const key = repositoryKey(repository)
  const { lost, isMore } = await lostTags.find()
  for (const each of lost) {
    if (repositoryKey(each.repository) !== key || !each.tags.some(isImmutable)) continue
    // Whoever was pushing it has told the catalog by then.
    const { tags } = await turns.take(key, () => stillLost(deps, each))
    const tag = tags.find(isImmutable)
    if (tag === undefined) continue
    throw new RegistryError(
      'DENIED',
      `the tag ${tag} of ${key} is immutable, and what it leads to is lost: nothing is deleted there that may be of it, until it is pushed again or the operator gives it up`,
    )
  }
  if (isMore)
    throw new RegistryError(
      'DENIED',
      `an immutable tag of ${key} may be lost, and need what is to be deleted: a file of what this edge keeps cannot be read, or very much is lost. Let the operator of this registry look at its log`,
    )
}
