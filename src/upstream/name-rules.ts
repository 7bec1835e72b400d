// Which repositories of an upstream may be pulled through and pushed to: the operator's include and exclude globs.
import picomatch from 'picomatch'
import type { RepositoryName } from '../oci/reference.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'

export interface NameRules {
  readonly allows: (name: RepositoryName) => boolean
  /** @throws UpstreamError not-found for names that are kept out: to clients they do not exist */
  readonly assertAllowed: (name: RepositoryName) => void
}

/** `exclude` is stronger; an empty `include` means all. `*` stays within a component, `**` crosses slashes. */
export function createNameRules(include: readonly string[], exclude: readonly string[]): NameRules {
  const options = { dot: true, nonegate: true, noextglob: true, strictSlashes: true }
  const isIncluded = include.length === 0 ? () => true : picomatch([...include], options)
  const isExcluded = exclude.length === 0 ? () => false : picomatch([...exclude], options)
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
