// Which rule holds for a repository: patterns compiled once, answers remembered. What the rules say
// is the operator's; who may make use of them is for access/.
import { boundedCache } from '../../async/bounded-cache.ts'
import picomatch from 'picomatch'
import {
  LOCALHOST,
  type Repository,
  repositoryKey,
  type RepositoryKey,
} from '../../oci/reference.ts'
import { TAG_GLOB } from '../../oci/name-glob.ts'
import { DENIED, type RepositoryPolicies, type RepositoryPolicy } from './repository-policy.ts'

export interface RepositoryRule extends Omit<RepositoryPolicy, 'deletable' | 'isImmutable'> {
  /** Glob over the repository's key, `host/name`; `**` for all. */
  readonly match: string
  /** Undefined: under `localhost` only. */
  readonly deletable: boolean | undefined
  /** Globs over tags. */
  readonly immutable: readonly string[]
}

/**
 * Clients choose the names. So many are remembered; matching one anew costs some microseconds a
 * rule.
 */
const REMEMBERED_MAX = 4_096

/**
 * First match wins; what no rule matches is denied. Where a rule that is wide enough matches
 * `localhost`, which has no upstream, `forward` and `queue` mean `store` there.
 */
export function createPolicies(rules: readonly RepositoryRule[]): RepositoryPolicies {
  const compiled = rules.map(rule => {
    const isImmutable =
      rule.immutable.length === 0 ? DENIED.isImmutable : picomatch([...rule.immutable], TAG_GLOB)
    return { rule: { ...rule, isImmutable }, matches: compile(rule.match) }
  })
  const remembered = boundedCache<RepositoryPolicy, RepositoryKey>(REMEMBERED_MAX)
  return {
    find(repository) {
      const key = repositoryKey(repository)
      const known = remembered.get(key)
      if (known !== undefined) return known
      const rule = compiled.find(({ matches }) => matches(key))?.rule
      const policy = rule === undefined ? DENIED : policyOf(rule, repository)
      remembered.set(key, policy)
      return policy
    },
  }
}

type CompiledRule = RepositoryRule & Pick<RepositoryPolicy, 'isImmutable'>

function policyOf(rule: CompiledRule, { registry }: Repository): RepositoryPolicy {
  const isLocal = registry === LOCALHOST
  const { match: _match, immutable: _immutable, ...policy } = rule
  return {
    ...policy,
    push: isLocal && rule.push !== 'deny' ? 'store' : rule.push,
    deletable: rule.deletable ?? isLocal,
  }
}

/** `*` alone means everything, slashes too, as in every pattern of the configuration. */
function compile(glob: string): (key: string) => boolean {
  if (glob === '*' || glob === '**') return () => true
  const matches = picomatch(glob, { dot: true })
  return key => matches(key)
}
