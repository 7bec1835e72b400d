// Which mirrors are asked, and for what: not for content that the caller refuses, and for a while
// not at all one that gave other bytes than a digest says (R260). Bytes that are refused for what
// they say may be what the registry has, and whoever can publish there chose them: a mirror is not
// left out for those. Who verifies is the caller; what a mirror gave is remembered here until
// then.
import type { Clock } from '../../registry/ports/clock.ts'
import type { Endpoint } from './endpoint.ts'
import { boundedCache } from '../../async/bounded-cache.ts'

/** A bad file in a cache stays until somebody mends it, and the registry can carry one content. */
const ALONE_MS = 60 * 60 * 1000
/**
 * Long enough that clients hardly notice, short enough that a mirror that was mended is used again.
 */
const LEFT_OUT_MS = 10 * 60 * 1000
/** Contents whose mirrors are known: more than are on their way at once. */
const CONTENTS_MAX = 2_000

/** A digest, or a name with a tag. */
export type ContentKey = string

export interface MirrorTrust {
  /** Those to ask, in order; without a key it is no content that is asked for. */
  mirrorsFor(key: ContentKey | undefined): readonly Endpoint[]
  gave(key: ContentKey, mirror: Endpoint): void
  /**
   * Gives the mirrors that had given it, which are not asked for it from now on; none: it was not
   * theirs.
   */
  refuse(key: ContentKey): readonly Endpoint[]
  /** It gave other bytes: it is left out from now on. */
  leaveOut(mirror: Endpoint): void
}

export function createMirrorTrust(mirrors: readonly Endpoint[], clock: Clock): MirrorTrust {
  const givers = boundedCache<Set<Endpoint>>(CONTENTS_MAX)
  const aloneUntilMs = boundedCache<number>(CONTENTS_MAX)
  const leftOutUntilMs = new Map<Endpoint, number>()
  const isPast = (untilMs = 0): boolean => clock.monotonicMs() >= untilMs
  return {
    mirrorsFor: key => {
      if (key !== undefined && !isPast(aloneUntilMs.get(key))) return []
      return mirrors.filter(mirror => isPast(leftOutUntilMs.get(mirror)))
    },
    gave: (key, mirror) => {
      givers.set(key, (givers.get(key) ?? new Set()).add(mirror))
    },
    refuse: key => {
      const refused = [...(givers.get(key) ?? [])]
      givers.delete(key)
      if (refused.length > 0) aloneUntilMs.set(key, clock.monotonicMs() + ALONE_MS)
      return refused
    },
    leaveOut: mirror => {
      leftOutUntilMs.set(mirror, clock.monotonicMs() + LEFT_OUT_MS)
    },
  }
}
