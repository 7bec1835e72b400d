// HEAD by somebody who is about to push: clients ask what they need not send, and give up on anything but 200 and 404. Where pushes are
// queued, an upstream that cannot be asked must not keep anybody from pushing; for everybody else a 404 would be a lie.
import { RegistryError } from '../oci/errors.ts'
import { type Repository, repositoryKey } from '../oci/reference.ts'
import { UpstreamError } from './ports/upstream.ts'
import type { RepositoryPolicies } from './repository-policy.ts'
import type { MissingCode } from './upstream-failure.ts'

export interface Asker {
  readonly policies: RepositoryPolicies
  /** The caller has the right to push. Default false. */
  readonly mayPush: boolean | undefined
}

/** Is what is asked for here the beginning of a push? Then only what is really there may be told of. */
export function isPushing({ policies, mayPush = false }: Asker, repository: Repository): boolean {
  return mayPush && policies.find(repository).push !== 'deny'
}

/** Runs `ask`; whoever pushes into a queue is told that nothing is there when the upstream gave no answer. @throws RegistryError; what `ask` throws */
export async function orAbsent<Answer>(
  asker: Asker,
  { repository, missing }: { repository: Repository; missing: MissingCode },
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    const isQueued =
      isPushing(asker, repository) && asker.policies.find(repository).push === 'queue'
    if (!isQueued || !(error instanceof UpstreamError) || error.failure === 'not-found') throw error
    throw new RegistryError(
      missing,
      `this is not here in ${repositoryKey(repository)}, and ${repository.registry} could not be asked; what is pushed waits here until it can`,
      { cause: error },
    )
  }
}
