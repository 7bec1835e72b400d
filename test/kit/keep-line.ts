// A line of a retention policy as tests begin it: about every tag, with no condition.
import type { KeepLine } from '../../src/registry/retain/rules.ts'

export const ANY_TAG: KeepLine = {
  patterns: [],
  mostRecentlyPushedCount: undefined,
  mostRecentlyPulledCount: undefined,
  highestSemverCount: undefined,
  pushedWithinMs: undefined,
  pulledWithinMs: undefined,
}
