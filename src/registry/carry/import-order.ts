// How late the word of a bundle is about a tag. A bundle says what it likes: no time of it is later
// than now, but for clocks that differ, or it would keep all that come after it from counting.
import { isByClock, orderByClock } from '../content/imported-tag.ts'
import type { Order } from '../ports/order.ts'
import type { PlannedImage } from './import-plan.ts'

/** Clocks of two sites differ by time zones that somebody has set wrongly, not by more. */
const AHEAD_MAX_MS = 24 * 3_600_000

export function orderOf(
  { order, changedAtMs = 0 }: Pick<PlannedImage, 'order' | 'changedAtMs'>,
  edge: string,
  nowMs: number,
): Order {
  const said = order ?? orderByClock(edge, changedAtMs)
  if (!isByClock(said)) return said
  return { ...said, number: Math.min(said.number, nowMs + AHEAD_MAX_MS) }
}
