// Which repositories of an upstream may be pulled through and pushed to. Clients are refused before
// (registry/routing/route.ts); this is for what goes on by itself.
import type { RepositoryName } from '../oci/reference.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'

export interface NameRules {
  readonly allows: (name: RepositoryName) => boolean
  /** @throws UpstreamError not-found for names that are kept out: to clients they do not exist */
  readonly assertAllowed: (name: RepositoryName) => void
}

export function createNameRules(allows: NameRules['allows']): NameRules {
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
