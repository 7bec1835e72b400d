// HEAD by somebody who may be about to push: clients ask what they need not send, and give up on anything but 200 and 404. So they are
// told what is at the place that the push goes to, and not what this edge happens to have. Pulls of who may push ask as well, so an
// upstream that gives no answer leaves everything as it is for readers.
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Namespace } from '../namespaces.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'
import { mayServeStale, type MissingCode } from '../upstream-failure.ts'

export interface Asker {
  readonly policies: RepositoryPolicies
  /** The caller has the right to push. Default false. */
  readonly mayPush: boolean | undefined
}

/** Is what is asked for here the beginning of a push? Then only what is really there may be told of. */
export function isPushing({ policies, mayPush = false }: Asker, repository: Repository): boolean {
  return mayPush && policies.find(repository).push !== 'deny'
}

/** And of one that goes to the upstream at once: what is here need not be there any more, or yet. */
export function isForwarding(asker: Asker, repository: Repository): boolean {
  return isPushing(asker, repository) && asker.policies.find(repository).push === 'forward'
}

/** Whom to ask: who pushes is not told what a mirror has. */
export function askedFor(asker: Asker, repository: Repository, namespace: Namespace): Namespace {
  const { withoutMirrors } = namespace.upstream
  if (withoutMirrors === undefined || !isPushing(asker, repository)) return namespace
  return { ...namespace, upstream: withoutMirrors }
}

/**
 * Runs `ask`. When the upstream gave no answer: `here`, where there is that; else, for whoever pushes into a queue, that nothing is there,
 * so that it is pushed. For all others a 404 would be a lie. @throws RegistryError; what `ask` throws
 */
export async function orAbsent<Answer>(
  asker: Asker,
  { repository, missing, here }: { repository: Repository; missing: MissingCode; here?: Answer },
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.failure === 'not-found') throw error
    if (here !== undefined && mayServeStale(error)) return here
    if (!isPushing(asker, repository) || asker.policies.find(repository).push !== 'queue')
      throw error
    throw new RegistryError(
      missing,
      `this is not here in ${repositoryKey(repository)}, and ${repository.registry} could not be asked; what is pushed waits here until it can`,
      { cause: error },
    )
  }
}
