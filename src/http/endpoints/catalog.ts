// `_catalog`: the repositories that are here, never an upstream's own, and that who asks may see
// (R71, R286). It is read and judged in small steps, all such lists of a thread in turn, for as
// long as the client is there; and a page ends, however many are hidden.
// Where a list begins is not for the client to say exactly: by small steps it would find the hidden
// names.
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
/** In what is sealed, behind the place. */
const FLOOR = '\n'
/** As long as keys are. */
const FLOOR_MAX = 255

export async function answerCatalog(context: Context): Promise<Answer> {
  const { target } = context
  const { limit, after: last } = parsePaging(target.query, LIST_LIMITS)
  const shown = await listShown(context, { limit, from: await beginningOf(context, last) })
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
  { limit, from }: { readonly limit: number; readonly from: Beginning },
): Promise<Shown | 'gone'> {
  const { registry, exchange, cursors } = context
  const { floor } = from
  const names: string[] = []
  let { position } = from
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
      names.push(...read.repositories.filter(name => isTold(context, name, floor)))
      return read.next === undefined ? undefined : placeBehind(context, read.next)
    })
    const repositories = names.slice(0, limit)
    if (names.length > limit) return { repositories, next: repositories.at(-1) }
    if (position === undefined) return { repositories, next: undefined }
  }
  if (position === undefined) return { repositories: names, next: undefined }
  const isBelow = floor !== undefined && position < floor
  return { repositories: names, next: cursors.seal(isBelow ? position + FLOOR + floor : position) }
}

interface Beginning {
  readonly position: string | undefined
  /** A key: only what is behind it is told. Undefined: all. */
  readonly floor: string | undefined
}

/**
 * Behind `last`, where that was sealed here or is in the list itself. Up to any other text it is
 * read from the beginning of its registry: whether a page ends before something is shown would tell
 * whether ten thousand hidden names follow, and by trying one text after the other, which.
 */
async function beginningOf(context: Context, last: string | undefined): Promise<Beginning> {
  const { registry, access, cursors } = context
  const { principal } = context.exchange
  if (last === undefined) return { position: undefined, floor: undefined }
  const opened = cursors.open(last)
  if (opened !== last) {
    const [position, floor] = opened.split(FLOOR)
    return { position, floor }
  }
  const repository = repositoryOf(registry, last)
  const key = repository === undefined ? last : repositoryKey(repository)
  if (repository !== undefined && access.isShown(principal, repository)) {
    const { repositories } = await registry.listRepositories({ limit: 1, after: justBefore(key) })
    const [first] = repositories.map(name => repositoryOf(registry, name))
    if (first !== undefined && repositoryKey(first) === key)
      return { position: last, floor: undefined }
  }
  const host = key.slice(0, key.indexOf('/') + 1)
  return { position: host === '' ? undefined : host, floor: key.slice(0, FLOOR_MAX) }
}

/** No key is between it and this one: `~` is behind all characters of names. */
function justBefore(key: string): string {
  const end = key.length - 1
  return `${key.slice(0, end)}${String.fromCharCode(key.charCodeAt(end) - 1)}~`
}

function isTold(
  { registry, access, exchange: { principal } }: Context,
  name: string,
  floor: string | undefined,
): boolean {
  const repository = repositoryOf(registry, name)
  if (repository === undefined || !access.isShown(principal, repository)) return false
  return floor === undefined || repositoryKey(repository) > floor
}

/** Behind this one, and behind what is hidden beside it as a whole. */
function placeBehind(
  { registry, access, exchange: { principal } }: Context,
  key: string,
): string | undefined {
  const repository = repositoryOf(registry, key)
  if (repository === undefined || access.isShown(principal, repository)) return key
  return access.nextShown(principal, repositoryKey(repository))
}

/**
 * As it is listed, a name leads there by itself; unless a reload came in between. Clients write
 * others.
 */
function repositoryOf(registry: Registry, name: string): Repository | undefined {
  try {
    const endpoint = { kind: 'tags', path: parseNamePath(name) } as const
    const target = { endpoint, leading: undefined, query: new URLSearchParams() }
    return registry.route(target, undefined).repository
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}
