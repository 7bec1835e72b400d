// Keeps one lasting cause from filling the log: the first line of each key passes, then one a
// minute, which says how many were held back.

/** How long a key is quiet after a line. */
export const QUIET_MS = 60_000
/** Keys remembered; beyond, all are forgotten at once, which costs a few lines more. */
export const QUIET_KEYS_MAX = 256

/** For `key`: how many were held back since its last line when one is due now, else undefined. */
export type OnceAMinute = (key: string) => number | undefined

export function createOnceAMinute(monotonicMs: () => number): OnceAMinute {
  const keys = new Map<string, { lastMs: number; held: number }>()
  return key => {
    const nowMs = monotonicMs()
    const entry = keys.get(key)
    if (entry !== undefined && nowMs - entry.lastMs < QUIET_MS) {
      entry.held += 1
      return undefined
    }
    if (keys.size >= QUIET_KEYS_MAX) keys.clear()
    keys.set(key, { lastMs: nowMs, held: 0 })
    return entry?.held ?? 0
  }
}
