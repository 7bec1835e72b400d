// One rule of who may do what, as the operator means it. Plain values, which are sent to other
// threads; which rule decides is rulebook.ts's, whom one is about names.ts's, and how people write
// them is read in config/.
import type { Action } from './access.ts'
import type { Who } from './names.ts'

/**
 * What a rule may allow. `list` shows the repository in `_catalog`; it takes `pull` beside it.
 */
export const RIGHTS = ['pull', 'push', 'delete', 'list'] as const satisfies readonly Action[]

/** `admin`: the operator's API over the network, about no repository (operator-access.ts). */
export type Right = Action | 'admin'

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
