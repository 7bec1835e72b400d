// What a client is told that would move or delete a tag that the operator made immutable.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'

const INSTEAD = {
  move: 'give what is new another tag, or let',
  delete: 'it stays, with what it points to, unless',
} as const
const MAY = { move: 'change', delete: 'changes' } as const

/** Says what to do instead. `wanted`: what the client would have done to it. */
export function immutableTag(
  repository: Repository,
  {
    tag,
    at,
    wanted,
  }: { readonly tag: Tag; readonly at: Digest; readonly wanted: 'move' | 'delete' },
): RegistryError {
  const key = repositoryKey(repository)
  const instead = `${INSTEAD[wanted]} the operator of this registry ${MAY[wanted]} immutable`
  return new RegistryError(
    'DENIED',
    `the tag ${tag} of ${key} is immutable and points to ${at}: ${instead} in the rule for ${key} under repositories`,
    { detail: { tag, digest: at } },
  )
}
