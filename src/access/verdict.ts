// What the rules say that are about a repository and who asks: the first decides, but for pushes
// and deletes, where each tag that is moved has its own.
import type { Tag } from '../oci/reference.ts'
import type { MovedTags } from './access.ts'
import type { AccessRule, Right } from './rule.ts'

/** `rule`: where it stands among the rules; undefined: none is about this. */
export interface Verdict {
  readonly isAllowed: boolean
  readonly rule: number | undefined
}

/** A rule, as it is obeyed. */
export interface RuleOfTags {
  readonly index: number
  readonly rule: AccessRule
  readonly isAboutTag: (tag: string) => boolean
}

/** Of those that are about a repository and who asks. What comes after `first` decides nothing. */
export interface ApplicableRules {
  readonly withTags: readonly RuleOfTags[]
  /** The first without tags. */
  readonly first: RuleOfTags | undefined
}

export function judge(rules: ApplicableRules, action: Right, moves: MovedTags): Verdict {
  if (action !== 'push' && action !== 'delete') return verdictOf(rules.first, action)
  if (moves === 'any') return judgeAll(rules, action)
  if (moves !== undefined && moves.length > 0) return judgeTags(rules, action, moves)
  return action === 'push' ? judgeUntagged(rules) : judgeAll(rules, action)
}

/** Each tag has its own first rule. */
function judgeTags(
  { withTags, first }: ApplicableRules,
  action: Right,
  tags: readonly Tag[],
): Verdict {
  const verdicts = tags.map(tag =>
    verdictOf(withTags.find(({ isAboutTag }) => isAboutTag(tag)) ?? first, action),
  )
  return verdicts.find(({ isAllowed }) => !isAllowed) ?? verdicts[0] ?? verdictOf(first, action)
}

/** It may move each tag that there is: none of the rules with tags may be against it. */
function judgeAll({ withTags, first }: ApplicableRules, action: Right): Verdict {
  const against = withTags.find(({ rule }) => !rule.allow.includes(action))
  return verdictOf(against ?? first, action)
}

/** It comes before a push of a tag that is not told yet: one that may be pushed is enough. */
function judgeUntagged({ withTags, first }: ApplicableRules): Verdict {
  const forIt = withTags.find(({ rule }) => rule.allow.includes('push'))
  return verdictOf(forIt ?? first, 'push')
}

function verdictOf(deciding: RuleOfTags | undefined, action: Right): Verdict {
  return {
    isAllowed: deciding?.rule.allow.includes(action) ?? false,
    rule: deciding?.index,
  }
}
