// What a handler is given: the parsed request, who asks, and where its name leads.
import type { Access, Action } from '../access/access.ts'
import type { Target } from '../oci/endpoint.ts'
import type { Repository } from '../oci/reference.ts'
import type { Routed } from '../registry/routing/route.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { Exchange } from './exchange.ts'
import type { MemoryBudget } from './body/memory-budget.ts'
import type { Cursors } from './cursor.ts'
import type { TakePlace } from './places/place.ts'

export interface Context {
  readonly exchange: Exchange
  readonly registry: Registry
  readonly access: Access
  readonly clock: Clock
  /** For bodies of manifests. */
  readonly memory: MemoryBudget
  /** For bodies of blobs. */
  readonly takePlace: TakePlace
  /** For lists that end behind what is hidden. */
  readonly cursors: Cursors
  /** To be called once it is known whose it is: see DispatchDeps. */
  readonly limitAccount: () => void
  readonly target: Target
  /** HEAD: the same headers as GET, and no body. */
  readonly headOnly: boolean
}

/** For endpoints that carry a repository's name. The principal may do there what the request is. */
export interface NamedContext extends Context {
  readonly routed: Routed
  /** Readable without credentials (R11). */
  readonly anonymously: boolean
  /**
   * For what has waited, before anything comes of it: rights may have been taken away meanwhile.
   * @throws RegistryError as for who asks now
   */
  readonly decideAgain: () => Promise<void>
}

/** Whether a HEAD may be the beginning of a push, which changes what absence means. */
export function mayPush(context: NamedContext): boolean {
  return isAllowed(context, 'push', context.routed.repository)
}

/**
 * May who asks do this as well? Tells nothing of whether the repository exists. Not where this
 * thread is behind: what asks has waited since it was let in.
 */
export function isAllowed(
  { access, exchange: { principal } }: Context,
  action: Action,
  resource: Repository,
): boolean {
  if (!access.revision.isHeld) return false
  return access.decide({ principal, resource, action }).kind === 'allowed'
}
