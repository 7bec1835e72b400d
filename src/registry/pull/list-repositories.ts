// `_catalog`: the repositories that are here, by the names that their clients use (R71, R286). Under `localhost` these are what a
// pusher writes, and not the canonical key, wherever the one leads to the other.
import { type NamePath, parseNamePath, type Target } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { LOCALHOST, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import type { ListPage, RepositoriesAnswer } from '../answers.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Route } from '../route.ts'

export interface ListRepositoriesDeps {
  readonly catalog: Catalog
  readonly route: Route
}

/** In the order of their canonical names, which is that of pages too: `after` is a name as it was listed, and need not exist. */
export async function listRepositories(
  { catalog, route }: ListRepositoriesDeps,
  { after, limit }: ListPage,
): Promise<RepositoriesAnswer> {
  const names: string[] = []
  let last: RepositoryKey | string | undefined = after && (keyOf(route, after) ?? after)
  for (;;) {
    // One more than shown tells whether more follow.
    const page = { limit: limit + 1, ...(last === undefined ? {} : { after: last }) }
    const keys = await catalog.listRepositories(page)
    // What the operator keeps out, or is no upstream any more, is not listed either (R254).
    names.push(...keys.filter(key => keyOf(route, key) === key).map(key => nameOf(route, key)))
    last = keys.at(-1)
    if (names.length > limit || last === undefined || keys.length <= limit)
      return { repositories: names.slice(0, limit), more: names.length > limit }
  }
}

/** Both forms stay pullable (docs/adr/0006); the shorter one is what was typed, but by who typed `localhost/` although it may be left out. */
function nameOf(route: Route, key: RepositoryKey): string {
  const bare = key.slice(LOCALHOST.length + 1)
  return key.startsWith(`${LOCALHOST}/`) && keyOf(route, bare) === key ? bare : key
}

/** Where a name leads by itself; undefined when it is none, or leads nowhere. */
function keyOf(route: Route, text: string): RepositoryKey | undefined {
  try {
    return repositoryKey(route(targetOf(parseNamePath(text)), undefined).repository)
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

function targetOf(path: NamePath): Target {
  return { endpoint: { kind: 'tags', path }, leading: undefined, query: new URLSearchParams() }
}
