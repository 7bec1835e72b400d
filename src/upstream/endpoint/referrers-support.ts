// Which repositories of an endpoint lack the referrers API (R77). A repository that answered
// otherwise than by the API says so of itself alone: registries may differ by repository, and who
// asks about one must not take the signatures of all away. What may not be the registry's own word
// is believed for minutes only, and not before it has lasted (docs/adr/0024-whose-answer-it-is.md).
import type { RepositoryName } from '../../oci/reference.ts'
import { boundedCache } from '../../async/bounded-cache.ts'

/** How long a lack is remembered: an upgrade of the registry is noticed within the hour. */
export const LACK_MS = 60 * 60 * 1000

/** Those asked about within the hour; one that was forgotten is asked about once more. */
const REPOSITORIES_MAX = 1_000
/** An ingress that is set up anew, or one of whose backends is broken, is so for seconds. */
const LASTING_MS = 60_000
/** Of what may have been somebody else: a backend may be broken for longer than that. */
const UNCONFIRMED_LACK_MS = 5 * 60_000
/**
 * Of a response of longer ago nothing is left that could have lasted: it is asked about anew after
 * UNCONFIRMED_LACK_MS.
 */
const FORGOTTEN_MS = 2 * UNCONFIRMED_LACK_MS

/**
 * Who said that there is no API: the registry by its code or header, or something that has neither.
 */
export type LackSaidBy = 'registry' | 'anybody'

export interface ReferrersSupport {
  /** False for as long as `lacks` remembers, unless the API has answered for any repository. */
  mayHave(name: RepositoryName, nowMs: number): boolean
  /**
   * A response that is none of the API's came: is it the same for a minute, with none of the API in
   * between?
   */
  isLasting(name: RepositoryName, nowMs: number): boolean
  /** It has the manifest that was asked about, and answers otherwise than by the API. */
  lacks(name: RepositoryName, by: LackSaidBy, nowMs: number): void
  /** The API has answered. */
  seen(name: RepositoryName): void
  /** Then a response that is none of the API is about that digest or that repository. */
  readonly wasSeen: boolean
  /** Of this repository: then a response without the registry's mark is an outage. */
  wasSeenOf(name: RepositoryName): boolean
}

export function createReferrersSupport(): ReferrersSupport {
  const lackUntilMs = boundedCache<number>(REPOSITORIES_MAX)
  /** The first and the last of responses that were none of the API's. */
  const odd = boundedCache<{ sinceMs: number; lastMs: number }>(REPOSITORIES_MAX)
  const seen = boundedCache<true>(REPOSITORIES_MAX)
  let wasSeen = false
  return {
    mayHave: (name, nowMs) => wasSeen || nowMs >= (lackUntilMs.get(name) ?? 0),
    isLasting: (name, nowMs) => {
      const before = odd.get(name)
      const goesOn = before !== undefined && nowMs - before.lastMs <= FORGOTTEN_MS
      const sinceMs = goesOn ? before.sinceMs : nowMs
      odd.set(name, { sinceMs, lastMs: nowMs })
      return nowMs - sinceMs >= LASTING_MS
    },
    lacks: (name, by, nowMs) =>
      lackUntilMs.set(name, nowMs + (by === 'registry' ? LACK_MS : UNCONFIRMED_LACK_MS)),
    seen: name => {
      wasSeen = true
      seen.set(name, true)
      odd.delete(name)
    },
    get wasSeen() {
      return wasSeen
    },
    wasSeenOf: name => seen.get(name) === true,
  }
}
