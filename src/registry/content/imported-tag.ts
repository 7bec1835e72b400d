// Where a tag leads when a bundle brings another word of it: no older bundle takes it back, and
// what was pushed here stays. A function of what is known alone.
import type { Digest } from '../../oci/digest.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Order } from '../ports/order.ts'

/** What a bundle says of a tag. */
export interface ImportedTag {
  readonly digest: Digest
  /** Of the push that pointed it there, at its own edge; or of an edge's clock, below. */
  readonly order: Order
}

/**
 * - `new`, `moved`: it leads there from now on
 * - `same`: it does already
 * - `older`: this edge had later word of it
 * - `upstream`: an upstream is asked about it here, and has said where it leads
 * - `pushed here`: this edge's own word, or another edge's that nothing compares with
 * - `immutable`: the operator lets nobody move it
 */
export type TagOutcome =
  | 'new'
  | 'moved'
  | 'same'
  | 'older'
  | 'upstream'
  | 'pushed here'
  | 'immutable'

/**
 * Of tags that were pulled there are no numbers: by when an edge first saw it lead there, in
 * milliseconds of its clock. No edge has such an identity.
 */
const BY_CLOCK = 'clock of '

export function orderByClock(edge: string, changedAtMs: number): Order {
  return { edge: edge.startsWith(BY_CLOCK) ? edge : `${BY_CLOCK}${edge}`, number: changedAtMs }
}

export function isByClock({ edge }: Order): boolean {
  return edge.startsWith(BY_CLOCK)
}

/**
 * `identity`: this edge's own, by which nobody else counts. `isAsked`: an upstream can be, about
 * this tag.
 */
export function judgeImportedTag(
  here: RecordedTag | undefined,
  imported: ImportedTag,
  { identity, isImmutable, isAsked }: JudgedBy,
): TagOutcome {
  if (here === undefined) return 'new'
  if (here.digest === imported.digest) return 'same'
  if (isAsked && isByUpstream(here)) return 'upstream'
  const outcome = judgeOther(here, imported, identity)
  return outcome === 'moved' && isImmutable ? 'immutable' : outcome
}

export interface JudgedBy {
  readonly identity: string
  readonly isImmutable: boolean
  readonly isAsked: boolean
}

/** It was pulled, or an upstream has confirmed since what was imported. */
function isByUpstream({ local, order, checkedAtMs, changedAtMs }: RecordedTag): boolean {
  return !local && (order === undefined || checkedAtMs > changedAtMs)
}

function judgeOther(here: RecordedTag, { order }: ImportedTag, identity: string): TagOutcome {
  // Whatever a bundle says of it: what this edge has pushed since it knows best.
  if (here.local && order.edge === identity) return 'pushed here'
  if (here.order?.edge === order.edge) return here.order.number < order.number ? 'moved' : 'older'
  if (here.local) return 'pushed here'
  // Pulled here, its upstream has said so until then.
  const hereMs = here.order === undefined ? here.checkedAtMs : clockOf(here.order)
  const importedMs = clockOf(order)
  if (hereMs === undefined || importedMs === undefined) return 'moved'
  return hereMs < importedMs ? 'moved' : 'older'
}

function clockOf(order: Order): number | undefined {
  return isByClock(order) ? order.number : undefined
}
