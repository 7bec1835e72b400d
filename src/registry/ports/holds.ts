// Why content stays: the one table of reasons, and what follows from them for its class.
import type { ContentClass } from './blob-store-content.ts'

/**
 * Why content stays in a repository, whatever room there is: content with one, in any repository,
 * is kept.
 * - `pushed`: this edge is its home
 * - `undelivered`: it is yet to be brought to its upstream
 * - `imported`: an operator brought it in a bundle, and its upstream may be out of reach
 */
export const HOLDS = ['pushed', 'undelivered', 'imported'] as const
export type Hold = (typeof HOLDS)[number]

/**
 * All that operators are told of why something stays. What is no hold is found out, and written
 * down nowhere as such: pins, leases, and something pushed that is lost and may need it.
 */
export type StaysBy = Hold | 'pinned' | 'leased' | 'unclear'

/**
 * What whoever records content says of why it stays.
 * - `awaited`: it is kept, and what is recorded later says why: of a blob that a client sent, the
 *   manifest that lists it; in a rebuild, what is yet to be delivered
 * - `nothing`: it stays as long as there is room, but for what was recorded of it before
 */
export type SaidHold = Hold | 'awaited' | 'nothing'

/** Are tags that are pointed by it this edge's word, that no upstream is asked about? */
export function isLocalBy(hold: SaidHold): boolean {
  return hold !== 'nothing' && hold !== 'imported'
}

/** Here alone it is said which class follows from it. */
export function classOf(hold: SaidHold): ContentClass {
  return hold === 'nothing' ? 'cached' : 'kept'
}
