// `_catalog`: the repositories that are here, by the names that their clients use (R71, R286).
// Under `localhost` these are what a pusher writes, and not the canonical key, wherever the one
// leads to the other.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type NamePath, parseNamePath, type Target } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { LOCALHOST, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import type { RepositoriesAnswer } from '../answers.ts'
import type { ListPage } from '../use-cases.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Route } from '../routing/route.ts'
import type { Turns } from '../../async/turns.ts'

export interface ListRepositoriesDeps {
  readonly catalog: Catalog
  readonly route: Route
  /** For this alone. */
  readonly listTurns: Turns
}

/**
 * Rows that are read and looked at in one go, however few or many are shown: a few milliseconds of
 * the thread, mostly for those that the operator keeps out.
 */
const ROWS_AT_ONCE = 100
/**
 * All lists have one turn: however many are asked for, each round of the event loop does one step
 * of one of them.
 */
const ONE_FOR_ALL = ''

/**
 * In the order of their canonical names, which is that of pages too: `after` is a name as it was
 * listed, or a place that this told of, and need not exist.
 */
export async function listRepositories(
  { catalog, route, listTurns }: ListRepositoriesDeps,
  { after, limit }: ListPage,
): Promise<RepositoriesAnswer> {
  const rows = Math.min(limit, ROWS_AT_ONCE)
  const last = after && (keyOf(route, after) ?? after)
  const page = { limit: rows, ...(last === undefined ? {} : { after: last }) }
  return await listTurns.take(ONE_FOR_ALL, async () => {
    await nextTurn()
    const keys = await catalog.listRepositories(page)
    // What the operator keeps out, or is no upstream any more, is not listed either (R254).
    const repositories = keys
      .filter(key => keyOf(route, key) === key)
      .map(key => nameOf(route, key))
    return { repositories, next: keys.length < rows ? undefined : keys.at(-1) }
  })
}

/**
 * Both forms stay pullable (docs/adr/0006); the shorter one is what was typed, but by who typed
 * `localhost/` although it may be left out.
 */
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
