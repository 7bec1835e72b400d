// How warm an image is: LFU with ageing, kept as a time (docs/adr/0030-eviction.md).

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A use weighs half after so long. */
const HALF_LIFE_MS = DAY_MS
/** Uses that are closer to the last one that counted only refresh. */
const APART_MS = HOUR_MS
/**
 * As warm as a use each hour for ever makes it; what is later comes from a clock that was wrong.
 */
const AHEAD_MAX_MS = 5.2 * DAY_MS
/** So much colder than any other is an image whose tag has gone on. */
export const COOLED_MS = 3650 * DAY_MS

export interface Warmth {
  readonly usedAtMs: number
  /** Of the last use that counted. */
  readonly countedAtMs: number
  readonly warmthMs: number
}

/** The warmest that anything may be at a time. */
export const warmestMs = (atMs: number) => atMs + AHEAD_MAX_MS

export function usedAgain(before: Warmth, atMs: number): Warmth {
  const latestMs = Math.max(before.usedAtMs, before.warmthMs, before.countedAtMs)
  if (latestMs > warmestMs(atMs)) return { usedAtMs: atMs, countedAtMs: atMs, warmthMs: atMs }
  const usedAtMs = Math.max(before.usedAtMs, atMs)
  if (atMs - before.countedAtMs < APART_MS)
    return { ...before, usedAtMs, warmthMs: Math.max(before.warmthMs, atMs) }
  return { usedAtMs, countedAtMs: atMs, warmthMs: sum(before.warmthMs, atMs) }
}

/** At which time a single use would weigh as much as both. */
function sum(a: number, b: number): number {
  const [earlier, later] = a < b ? [a, b] : [b, a]
  return Math.round(later + HALF_LIFE_MS * Math.log2(1 + 2 ** ((earlier - later) / HALF_LIFE_MS)))
}
