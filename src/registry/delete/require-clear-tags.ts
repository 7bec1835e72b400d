// A manifest that is lost, and that an immutable tag leads to: what it lists nobody knows, so
// nothing that may be of it is deleted until it is found, or an operator gives it up.
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { DENIED } from '../repository-policy.ts'
import { findLost, type LostDeps, stillLost } from './lost-manifest.ts'

/** MUST NOT run in the repository's turn. @throws RegistryError DENIED; StoreError */
export async function requireClearTags(deps: LostDeps, repository: Repository): Promise<void> {
  const { policies, stock, turns } = deps
  const { isImmutable } = policies.find(repository)
  if (isImmutable === DENIED.isImmutable || stock?.isAllFound === true) return
  const key = repositoryKey(repository)
  const lost = await findLost(
    deps,
    fact => fact.kind === 'tag' && fact.repository === key && isImmutable(fact.tag),
  )
  for (const each of lost) {
    // Whoever was pushing it has told the catalog by then.
    const { tags } = await turns.take(key, () => stillLost(deps, each))
    if (tags.length === 0) continue
    throw new RegistryError(
      'DENIED',
      `the tag ${tags[0]} of ${key} is immutable, and what it leads to is lost: nothing is deleted there that may be of it, until it is pushed again or the operator gives it up`,
    )
  }
}

/**
 * Of what is lost itself: while a file of the facts is unreadable, which may be of such a tag.
 * @throws RegistryError DENIED
 */
export function unclearTags(repository: Repository): RegistryError {
  return new RegistryError(
    'DENIED',
    `this manifest is lost, and so may be an immutable tag of ${repositoryKey(repository)} that needs it: a file of what this edge keeps cannot be read`,
  )
}
