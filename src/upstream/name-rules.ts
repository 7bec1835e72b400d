// Which repositories of an upstream may be pulled through and pushed to: the operator's include and
// exclude globs.
import picomatch from 'picomatch'
import { NAME_GLOB } from '../oci/name-glob.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'

export interface NameRules {
  readonly allows: (name: RepositoryName) => boolean
  /** @throws UpstreamError not-found for names that are kept out: to clients they do not exist */
  readonly assertAllowed: (name: RepositoryName) => void
}

/**
 * As NamePatterns says. Clients are refused before (registry/route.ts); this is for what goes on
 * by itself.
 */
export function createNameRules(include: readonly string[], exclude: readonly string[]): NameRules {
  const isIncluded = include.length === 0 ? () => true : picomatch([...include], NAME_GLOB)
  const isExcluded = exclude.length === 0 ? () => false : picomatch([...exclude], NAME_GLOB)
  const allows = (name: RepositoryName): boolean => isIncluded(name) && !isExcluded(name)
  return {
    allows,
    assertAllowed: name => {
      if (allows(name)) return
      throw new UpstreamError('not-found', `${name} is kept out by include or exclude`, {
        hint: 'see include and exclude of this upstream',
        repositoryUnknown: true,
      })
    },
  }
}
