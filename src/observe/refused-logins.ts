// Keeps wrong logins from filling the audit log, which whoever reaches a port could have done: of
// each kind and site the first is written down, then one a minute, which says how many were held
// back. Of more sites than are remembered one line a minute tells together. What somebody did who
// was let in is not held.
import { siteOf } from '../access/network.ts'
import { QUIET_MS } from './once-a-minute.ts'

/** Lines a minute of one kind, about; a router's neighbours are fewer. */
export const SITES_MAX = 256

/**
 * For one of that kind from there: how many were held back since the last line when one is due now,
 * else undefined.
 */
export type RefusedLogins = (kind: string, address: string | undefined) => number | undefined

interface Quiet {
  lastMs: number
  held: number
}

export function createRefusedLogins(monotonicMs: () => number): RefusedLogins {
  const bySite = new Map<string, Quiet>()
  const ofOthers = new Map<string, Quiet>()

  /** What they held back the line for all others tells. */
  function forgetQuiet(nowMs: number): void {
    for (const [key, { lastMs, held }] of bySite) {
      if (nowMs - lastMs < QUIET_MS) continue
      bySite.delete(key)
      const [kind = ''] = key.split(' ', 1)
      const others = ofOthers.get(kind) ?? { lastMs: -QUIET_MS, held: 0 }
      ofOthers.set(kind, { ...others, held: others.held + held })
    }
  }

  return (kind, address) => {
    const nowMs = monotonicMs()
    const key = `${kind} ${siteOf(address)}`
    if (!bySite.has(key) && bySite.size >= SITES_MAX) forgetQuiet(nowMs)
    const isKnown = bySite.has(key) || bySite.size < SITES_MAX
    const [quiets, which] = isKnown ? [bySite, key] : [ofOthers, kind]
    const quiet = quiets.get(which)
    if (quiet !== undefined && nowMs - quiet.lastMs < QUIET_MS) {
      quiet.held += 1
      return undefined
    }
    quiets.set(which, { lastMs: nowMs, held: 0 })
    return quiet?.held ?? 0
  }
}
