// What the operator says may go from repositories that are kept here, in the words that zot has for
// it (docs/operations.md, "Retention"): the first policy whose pattern fits a repository decides,
// and where none does everything stays. Plain values; judged in judge.ts.
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { compileSelector } from '../pins/selectors.ts'

/** One line of `keeptags`: of the tags that it names, those that a condition holds. */
export interface KeepLine {
  /** Globs over tags; empty: all. */
  readonly patterns: readonly string[]
  readonly mostRecentlyPushedCount: number | undefined
  readonly mostRecentlyPulledCount: number | undefined
  /** Of those that are semantic versions, the highest. */
  readonly highestSemverCount: number | undefined
  readonly pushedWithinMs: number | undefined
  /** A push counts as a pull: what has just been pushed had no time to be pulled. */
  readonly pulledWithinMs: number | undefined
}

/** What a line may ask for beside its patterns, as the configuration calls it. */
export const CONDITIONS = {
  mostRecentlyPushedCount: 'mostrecentlypushedcount',
  mostRecentlyPulledCount: 'mostrecentlypulledcount',
  highestSemverCount: 'highestsemvercount',
  pushedWithinMs: 'pushedwithin',
  pulledWithinMs: 'pulledwithin',
} as const satisfies Readonly<Record<Exclude<keyof KeepLine, 'patterns'>, string>>

export interface RetentionPolicy {
  /** Globs over keys of repositories, `host/name`; `**` for all. */
  readonly repositories: readonly string[]
  /** Manifests that no tag leads to any more go, after the delay. */
  readonly deleteUntagged: boolean
  /** So do referrers, and signatures by tag, of what is not in the repository. */
  readonly deleteReferrers: boolean
  /** Empty: every tag stays. */
  readonly keepTags: readonly KeepLine[]
}

/** The one that decides of a repository. */
export interface DecidingPolicy extends RetentionPolicy {
  /** Among the policies. */
  readonly place: number
}

export interface RetentionRules {
  /** How long what no tag leads to stays after its last push or pull. */
  readonly delayMs: number
  readonly policies: readonly RetentionPolicy[]
}

/** Undefined: nothing of this repository may go. */
export function policyFor(
  { policies }: RetentionRules,
  repository: Repository,
): DecidingPolicy | undefined {
  const key = repositoryKey(repository)
  const place = policies.findIndex(({ repositories }) =>
    repositories.some(glob =>
      compileSelector({ kind: 'repositories', repositories: glob }).isAbout(key),
    ),
  )
  const policy = policies[place]
  return policy && { ...policy, place }
}
