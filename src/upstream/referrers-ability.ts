// Which repositories of an endpoint lack the referrers API (R77). A repository that answered otherwise than by the API says so of itself
// alone: registries may differ by repository, and who asks about one must not take the signatures of all away.
import type { RepositoryName } from '../oci/reference.ts'
import { createRemembered } from './remembered.ts'

/** Those asked about within the hour; one that was forgotten is asked about once more. */
const REPOSITORIES_MAX = 1_000

export interface ReferrersAbility {
  /** False until the monotonic time that `lacks` was told, unless the API has answered for any repository. */
  mayHave(name: RepositoryName, nowMs: number): boolean
  lacks(name: RepositoryName, untilMs: number): void
  /** The API has answered. */
  seen(): void
  /** Then an answer that is none of the API is about that digest or that repository. */
  readonly wasSeen: boolean
}

export function createReferrersAbility(): ReferrersAbility {
  const lackUntilMs = createRemembered<number>(REPOSITORIES_MAX)
  let wasSeen = false
  return {
    mayHave: (name, nowMs) => wasSeen || nowMs >= (lackUntilMs.get(name) ?? 0),
    lacks: (name, untilMs) => lackUntilMs.set(name, untilMs),
    seen: () => {
      wasSeen = true
    },
    get wasSeen() {
      return wasSeen
    },
  }
}
