// Paging of lists (distribution-spec "Listing tags"; R66–R68): `n` and `last` of a client, the Link
// to its next page, and the Link headers of an upstream (RFC 8288), whose targets are to be
// followed and never guessed.
import { RegistryError } from './errors.ts'
import { splitQuoted, unquote } from './header-list.ts'

export interface Paging {
  /** 0 is legal, and asks for an empty list without a Link. */
  readonly limit: number
  /** Exclusive, and need not exist; undefined: from the start. */
  readonly after: string | undefined
}

export interface PagingLimits {
  /** When the client names no `n`. */
  readonly defaultLimit: number
  /** What a larger `n` is cut to, silently: the Link tells that there is more. */
  readonly maxLimit: number
}

/** @throws RegistryError PAGINATION_NUMBER_INVALID when `n` is negative or no whole number */
export function parsePaging(query: URLSearchParams, limits: PagingLimits): Paging {
  const n = query.get('n') ?? ''
  if (n !== '' && !/^[0-9]+$/.test(n)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', 'n is a whole number, 0 or more')
  }
  return {
    limit: Math.min(n === '' ? limits.defaultLimit : Number(n), limits.maxLimit),
    after: query.get('last') || undefined,
  }
}

/**
 * The `Link` header that leads to the page after `last`: a path without scheme and host, because a
 * proxy in front may have changed those and clients refuse others (R67). Of the client's own
 * `query` only `ns` is kept. `urlPath` must be a valid path already.
 */
export function formatNextLink(
  urlPath: string,
  query: URLSearchParams,
  next: { readonly limit: number; readonly last: string },
): string {
  const ns = query.get('ns')
  const namespace = ns === null ? '' : `&ns=${encodeURIComponent(ns)}`
  const target = `${urlPath}?n=${next.limit}&last=${encodeURIComponent(next.last)}${namespace}`
  return `<${target}>; rel="next"`
}

export interface Link {
  /** As written: maybe relative, maybe nonsense. */
  readonly target: string
  /** Relation types, lower-case: `next`. */
  readonly relations: readonly string[]
}

/**
 * Every link of every `Link` header, several of which may stand in one; what is malformed is left
 * out. Never throws.
 */
export function parseLinks(headerValues: readonly string[]): readonly Link[] {
  return headerValues.flatMap(splitLinks).flatMap(member => {
    const end = member.indexOf('>')
    if (!member.startsWith('<') || end < 0) return []
    const parameters = splitQuoted(member.slice(end + 1), ';')
    return [{ target: member.slice(1, end).trim(), relations: readRelations(parameters) }]
  })
}

/** At commas outside both angle brackets and quotes: a target may contain them. */
function splitLinks(header: string): string[] {
  const targets: string[] = []
  const withoutTargets = header.replace(/<([^<>]*)>/g, (_match, target: string) => {
    targets.push(target)
    return '<>'
  })
  // Brackets inside a quoted parameter were taken out as well; they are put back in the same order.
  return splitQuoted(withoutTargets, ',').map(member =>
    member.replace(/<>/g, () => `<${targets.shift() ?? ''}>`),
  )
}

/** Of several `rel` parameters the first counts (RFC 8288 §3.3). */
function readRelations(parameters: readonly string[]): readonly string[] {
  for (const parameter of parameters) {
    const match = /^rel[ \t]*=[ \t]*(.*)$/i.exec(parameter)
    const value = match?.[1]
    if (value !== undefined) {
      return (unquote(value) ?? value)
        .toLowerCase()
        .split(/[ \t]+/)
        .filter(relation => relation !== '')
    }
  }
  return []
}
