// What a token of somebody else's token server grants (distribution's `auth.token`): it names
// repositories and what may be done with them, and all else it does not allow, whatever rules say.
import { LOCALHOST, type RegistryHost, type Repository, repositoryKey } from '../oci/reference.ts'
import type { AccessRequest } from './access.ts'
import type { Grant, Login, TokenServer } from './accounts.ts'

/** As distribution asks for them: who pushes reads as well. */
const ACTIONS = { pull: ['pull'], push: ['pull', 'push'], delete: ['delete'], list: ['*'] } as const
const EVERYTHING = '*'

/** Undefined: it came with no such token. */
export function grantsOf(login: Login | undefined): readonly Grant[] | undefined {
  return login?.kind === 'account' || login?.kind === 'anonymous' ? login.grants : undefined
}

/** Does the token of who asks allow it? A robot has none, and needs none. */
export function isGranted(
  login: Login | undefined,
  { resource, asIf, action }: Pick<AccessRequest, 'resource' | 'asIf' | 'action'>,
  { defaultHost }: TokenServer,
): boolean {
  const grants = grantsOf(login)
  if (grants === undefined) return login?.kind === 'account'
  const repository = resource === 'unrouted' ? asIf : resource
  if (repository === undefined) return false
  const type = repository === 'catalog' ? 'registry' : 'repository'
  const names = repository === 'catalog' ? ['catalog'] : namesOf(repository, defaultHost)
  const granted = grants
    .filter(grant => grant.type === type && names.includes(grant.name))
    .flatMap(({ actions }) => actions)
  return granted.includes(EVERYTHING) || ACTIONS[action].every(each => granted.includes(each))
}

/**
 * What a grant is to call it: as the client does, where that can mean no other registry's; else a
 * token for one registry would be good for what another has by the same name.
 */
export function grantName(repository: Repository, spelled: string, server: TokenServer): string {
  const names = namesOf(repository, server.defaultHost)
  return names.includes(spelled) ? spelled : repositoryKey(repository)
}

/**
 * With its registry; and as clients write it without one, which means one repository alone: a name
 * of one component is localhost's, whatever the default registry.
 */
function namesOf(repository: Repository, defaultHost: RegistryHost): readonly string[] {
  const { registry: host, name } = repository
  const bareHost = name.includes('/') ? defaultHost : LOCALHOST
  return [repositoryKey(repository), ...(host === bareHost ? [name] : [])]
}
