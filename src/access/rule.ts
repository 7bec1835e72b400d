// One rule of who may do what, as the operator means it. Plain values, which are sent to other
// threads; which rule decides is rulebook.ts's, and how people write them is read in config/.
import type { Action } from './access.ts'
import { formatNetwork, type Network } from './network.ts'

/**
 * What a rule may allow. `list` shows the repository in `_catalog`; it takes `pull` beside it.
 */
export const RIGHTS = ['pull', 'push', 'delete', 'list'] as const satisfies readonly Action[]

/** `admin`: the operator's API over the network, about no repository (operator-access.ts). */
export type Right = Action | 'admin'

/** `anonymous`: who has not logged in and shows no certificate. */
export type Who =
  | { readonly kind: 'everybody' | 'anonymous' }
  /** A program of this machine (local-program.ts). */
  | { readonly kind: 'local' }
  /** Who has logged in by this name. */
  | { readonly kind: 'account'; readonly name: string }
  /** Who has logged in by a name that is in this group. */
  | { readonly kind: 'group'; readonly name: string }
  /** Who shows a certificate with this name. */
  | { readonly kind: 'certificate'; readonly name: string }
  /** Who calls from there. */
  | { readonly kind: 'network'; readonly network: Network }

/** All whom an identity provider knows are a group, too: with a public one, anybody. */
const OF_PROVIDER = /^oidc:[^:]+$/

/** Somebody, or somebody of a group, who is told from whoever else comes. */
export function isSomebody(who: Who): boolean {
  if (who.kind === 'group') return !OF_PROVIDER.test(who.name)
  return who.kind === 'account' || who.kind === 'certificate'
}

export interface AccessRule {
  readonly who: Who
  /** Glob over the repository's key, `host/name`; `**` for all. */
  readonly match: string
  /**
   * Globs over tags. With any, it is about pushes and deletes of these tags alone. A delete by
   * digest takes away whatever tags lead to it: one that it does not allow it denies. Uploads come
   * before a push: where it allows a push it allows them. Empty: about all.
   */
  readonly tags: readonly string[]
  /** What is not in here is denied where the rule is the first. */
  readonly allow: readonly Right[]
}

/** As it is written. */
export function formatWho(who: Who): string {
  switch (who.kind) {
    case 'everybody':
      return '*'
    case 'anonymous':
    case 'local':
      return who.kind
    case 'account':
      return who.name
    case 'group':
      return `group:${who.name}`
    case 'certificate':
      return `cert:${who.name}`
    case 'network':
      return `net:${formatNetwork(who.network)}`
  }
}
