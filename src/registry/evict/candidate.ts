// What could leave for want of room: content that nothing needs, or an image
// (docs/adr/0030-eviction.md); and in which stages a run goes about it.
import type { ColdImage } from '../ports/catalog-images.ts'
import type { LooseContent } from '../ports/catalog-space.ts'

export type Candidate =
  | { readonly kind: 'loose'; readonly content: LooseContent }
  | { readonly kind: 'image'; readonly image: ColdImage }

/**
 * - `usual`: in its turn
 * - `away`: its upstream is, and nobody could fetch it again: when nothing else is left
 * - `recent`: it was used moments ago, and is likely to be pulled still: after those
 * - `held`: never
 */
export type Evictability = 'usual' | 'away' | 'recent' | 'held'

/** Of one after the other, as long as more has to leave. */
export interface Stage {
  /** Only what is above the ceiling of a quota. */
  readonly isOver: boolean
  readonly takes: readonly Evictability[]
  /** Only what gives a file for at most so many bytes. */
  readonly leanBytes?: number
}

/**
 * What is above a ceiling leaves first, but not while its upstream is away: it can't grow then, and
 * whoever lowered a ceiling did not mean an outage.
 */
export const STAGES: readonly Stage[] = [
  { isOver: true, takes: ['usual'] },
  { isOver: true, takes: ['usual', 'recent'] },
  { isOver: false, takes: ['usual'] },
  { isOver: false, takes: ['usual', 'away'] },
  { isOver: false, takes: ['usual', 'away', 'recent'] },
]

/**
 * Where files are wanted: what has more of them than others for its bytes goes before all that has
 * fewer, also when it was used moments ago. A thousand tiny manifests that somebody has just pulled
 * would else take a thousand large layers from others.
 */
export function stagesForFiles(leanBytes: number): readonly Stage[] {
  const inTurn = STAGES.filter(({ isOver }) => !isOver)
  const lean = [['usual'], ['usual', 'recent']] as const
  return [...lean.map(takes => ({ isOver: false, takes, leanBytes })), ...inTurn]
}
