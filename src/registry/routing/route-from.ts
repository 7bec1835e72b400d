// Where the `from` of a cross-repository mount leads (R109): it is written as the request's own
// name is, so the same prefix before `/v2`, the same `ns` and the same host hold for it. Pure.
import { parseNamePath, type Target } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Route } from './route.ts'

/**
 * Undefined when it is no name, or leads nowhere: then there is nothing to mount, which is no
 * error.
 */
export function routeFrom(
  route: Route,
  target: Target,
  { from, host }: { from: string; host: string | undefined },
): Repository | undefined {
  try {
    const endpoint = { kind: 'uploads', path: parseNamePath(from) } as const
    return route({ ...target, endpoint }, host).repository
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}
