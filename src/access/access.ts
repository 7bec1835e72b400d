// Who may do what, asked before any look-up that could reveal whether something exists (appendix of error precedence: 403
// before 404). Today everybody may pull and list; accounts and rules come in behind this one function.
import type { Repository } from '../oci/reference.ts'

/** Who asks. `anonymous` is whoever showed no credentials. */
export type Principal = { readonly kind: 'anonymous' }

export const ANONYMOUS: Principal = { kind: 'anonymous' }

/** `list` reads the catalog of repositories; `pull` everything else that is read. */
export type Action = 'pull' | 'list'

export interface AccessRequest {
  readonly principal: Principal
  /** `unrouted`: the name leads to no configured registry; asked all the same, so that a refusal hides that too (R178). */
  readonly resource: Repository | 'catalog' | 'unrouted'
  readonly action: Action
}

/** `anonymously`: readable without credentials too, so that a shared cache in front may keep it (R11). */
export type Decision =
  | { readonly kind: 'allowed'; readonly anonymously: boolean }
  | { readonly kind: 'denied'; readonly reason: string }

export interface Access {
  /** MUST NOT ask the network; MUST NOT depend on whether the content exists. */
  decide(request: AccessRequest): Decision
}

/** Everybody may pull and list. */
export function createOpenAccess(): Access {
  const allowed: Decision = { kind: 'allowed', anonymously: true }
  return { decide: () => allowed }
}
