// `_catalog`: the repositories that are here, never an upstream's own, and that who asks may see
// (R71, R286). It is read and judged in small steps, all such lists of a thread in turn, for as
// long as the client is there; and a page ends, however many are hidden.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Turns } from '../../async/turns.ts'
import { parseNamePath } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parsePaging } from '../../oci/paging.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Registry } from '../../registry/use-cases.ts'
import { type Answer, jsonAnswer, TO_NOBODY } from '../answer.ts'
import type { Context } from '../context.ts'
import { CATALOG_HIDDEN_READS_MAX, CATALOG_READ_ROWS, LIST_LIMITS } from '../limits.ts'
import { nextLink, REVALIDATE } from './headers.ts'

const judging = new Turns()
/** However many lists are asked for, one step of one of them is judged in a turn of the loop. */
const ONE_FOR_ALL = ''

export async function answerCatalog(context: Context): Promise<Answer> {
  const { target, cursors } = context
  const { limit, after: last } = parsePaging(target.query, LIST_LIMITS)
  const after = last === undefined ? undefined : cursors.open(last)
  const shown = await listShown(context, { limit, after })
  if (shown === 'gone') return TO_NOBODY
  const { repositories, next } = shown
  const urlPath = target.leading === undefined ? '/v2/_catalog' : `/${target.leading}/v2/_catalog`
  const Link = nextLink(urlPath, target.query, { limit, last: next })
  return jsonAnswer({ repositories }, { 'Cache-Control': REVALIDATE, Link })
}

interface Shown {
  readonly repositories: readonly string[]
  /** The `last` of the next page; undefined: there is none. */
  readonly next: string | undefined
}

/**
 * Of the repositories those that who asks may see. A page is as long as it would be without the
 * others, and only one that is shown tells that there is more; but where it would be too much to
 * pass all of these, the page is shorter. `gone`: the client left.
 */
async function listShown(
  context: Context,
  { limit, after }: { readonly limit: number; readonly after: string | undefined },
): Promise<Shown | 'gone'> {
  const { registry, exchange, cursors } = context
  const names: string[] = []
  let position = after
  // Nobody could go on after an empty page.
  if (limit === 0) return { repositories: names, next: undefined }
  const readsMax = Math.ceil((limit + 1) / CATALOG_READ_ROWS) + CATALOG_HIDDEN_READS_MAX
  for (let reads = 0; reads < readsMax; reads += 1) {
    if (exchange.response.destroyed) return 'gone'
    // One more than shown tells whether more follow.
    const wanted = reads === 0 ? limit + 1 : CATALOG_READ_ROWS
    const rows = Math.min(wanted, CATALOG_READ_ROWS)
    const read = await registry.listRepositories({ limit: rows, after: position })
    position = await judging.take(ONE_FOR_ALL, async () => {
      await nextTurn()
      names.push(...read.repositories.filter(name => isShown(context, name)))
      return read.next === undefined ? undefined : placeBehind(context, read.next)
    })
    const repositories = names.slice(0, limit)
    if (names.length > limit) return { repositories, next: repositories.at(-1) }
    if (position === undefined) return { repositories, next: undefined }
  }
  return { repositories: names, next: position === undefined ? undefined : cursors.seal(position) }
}

function isShown(context: Context, name: string): boolean {
  const repository = repositoryOf(context.registry, name)
  return repository !== undefined && context.access.isShown(context.principal, repository)
}

/** Behind this one, and behind what is hidden beside it as a whole. */
function placeBehind({ registry, access, principal }: Context, key: string): string | undefined {
  const repository = repositoryOf(registry, key)
  if (repository === undefined || access.isShown(principal, repository)) return key
  return access.nextShown(principal, repositoryKey(repository))
}

/** As it is listed, a name leads there by itself; unless a reload came in between. */
function repositoryOf(registry: Registry, name: string): Repository | undefined {
  const endpoint = { kind: 'tags', path: parseNamePath(name) } as const
  const target = { endpoint, leading: undefined, query: new URLSearchParams() }
  try {
    return registry.route(target, undefined).repository
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}
