// What a client is told whose push the operator's `repositories` rules do not let through (403
// DENIED): what to configure, or which name to write instead. Who may push at all is for access/;
// what an upstream says of a push, for upstream-failure.ts.
import { RegistryError } from '../../oci/errors.ts'
import { LOCALHOST, type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Namespace, Namespaces } from '../routing/namespaces.ts'
import type { RepositoryPolicies, RepositoryPolicy } from '../routing/repository-policy.ts'

/** How a push to a repository goes on; `namespace` has the upstream that it is streamed to. */
export type PushWay =
  | { readonly mode: 'store' | 'queue'; readonly policy: RepositoryPolicy }
  | { readonly mode: 'forward'; readonly policy: RepositoryPolicy; readonly namespace: Namespace }

export interface PushRules {
  readonly policies: RepositoryPolicies
  readonly namespaces: Namespaces
}

/**
 * @throws RegistryError DENIED; UNAVAILABLE where the upstream would have to be asked and the
 * configuration forbids it
 */
export function requirePush(rules: PushRules, repository: Repository): PushWay {
  const policy = rules.policies.find(repository)
  switch (policy.push) {
    case 'deny':
      throw pushDenied(repository)
    case 'store':
    case 'queue':
      return { mode: policy.push, policy }
    case 'forward':
      return { mode: 'forward', policy, namespace: requireUpstream(rules, repository) }
  }
}

function requireUpstream({ namespaces }: PushRules, repository: Repository): Namespace {
  const { registry } = repository
  const namespace = namespaces.find(registry)
  if (namespace === undefined) {
    throw new RegistryError(
      'DENIED',
      `pushes to ${repositoryKey(repository)} would go to ${registry}, which is no upstream of this edge`,
    )
  }
  if (!namespace.policy.offline) return namespace
  throw new RegistryError(
    'UNAVAILABLE',
    `pushes to ${repositoryKey(repository)} go to ${registry} at once, and that is configured offline`,
  )
}

/** For repositories whose mode is `deny`. */
export function pushDenied(repository: Repository): RegistryError {
  return new RegistryError('DENIED', refusal(repository))
}

function refusal(repository: Repository): string {
  const key = repositoryKey(repository)
  if (repository.registry === LOCALHOST) {
    return `pushes to ${key} are denied by this edge's configuration: a rule under repositories says so`
  }
  // One component of Docker Hub's was never written with `library/` by who pushes.
  const name = repository.name.replace(/^library\/(?=[^/]+$)/, '')
  return `${key} cannot be pushed to through this edge: write ${LOCALHOST}/${name} to keep it here, or let its operator set push for ${key} under repositories`
}
