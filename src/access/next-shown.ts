// Where a list goes on behind a repository that is not shown: however many are hidden beside each
// other, patterns that end in `/**` or are whole names tell where they begin and end. Of others
// only what stands before the first wildcard is looked at. Keys are in the order of their
// characters, as catalogs list them.
import type { RepositoryKey } from '../oci/reference.ts'
import { beginningOf, WILDCARD } from './pattern.ts'
import type { AccessRule } from './rule.ts'

/** Behind all characters of names. */
const LAST = '~'
const TREE = '/**'

/**
 * No key between the text that this gives and `key` is shown to whom `rules` are about; undefined:
 * nor is any behind it. `deciding`: the first of them that is about `key`, where there is one.
 */
export function nextShown(
  rules: readonly AccessRule[],
  key: RepositoryKey,
  deciding: AccessRule | undefined,
): string | undefined {
  const next = nextOf(rules, key)
  if (next === undefined || next > key || deciding === undefined) return next
  // What it hides it hides as a whole, but for what rules before it show.
  const root = rootOf(deciding.match)
  if (root === undefined || !key.startsWith(`${root}/`)) return next
  const end = `${root}/${LAST}`
  const before = nextOf(rules.slice(0, rules.indexOf(deciding)), key)
  return before !== undefined && before < end ? before : end
}

/** The nearest that one of these may show. */
function nextOf(rules: readonly AccessRule[], key: RepositoryKey): string | undefined {
  const found = rules
    .filter(({ allow }) => allow.includes('pull') && allow.includes('list'))
    .map(({ match }) => nextMatch(match, key))
    .filter(each => each !== undefined)
  return found.reduce<string | undefined>(
    (least, each) => (least === undefined || each < least ? each : least),
    undefined,
  )
}

/** Behind which text the next key may come that a pattern matches; undefined: none does. */
function nextMatch(match: string, key: RepositoryKey): string | undefined {
  const root = rootOf(match)
  if (root !== undefined) {
    // The root itself, then names that only begin like it, then what is under it.
    if (key < root) return justBefore(root)
    const under = `${root}/`
    return key < under ? justBefore(under) : withPrefix(under, key)
  }
  const prefix = beginningOf(match)
  if (prefix === match) return key < match ? justBefore(match) : undefined
  return prefix === '' || key >= prefix ? withPrefix(prefix, key) : justBefore(prefix)
}

/** Of `root/**`, which is about `root` as well. */
function rootOf(match: string): string | undefined {
  const root = match.endsWith(TREE) ? match.slice(0, -TREE.length) : ''
  return root === '' || WILDCARD.test(root) ? undefined : root
}

function withPrefix(prefix: string, key: RepositoryKey): string | undefined {
  return key.startsWith(prefix) ? key : undefined
}

/** No key is between it and `text`. */
function justBefore(text: string): string {
  const last = text.length - 1
  return `${text.slice(0, last)}${String.fromCharCode(text.charCodeAt(last) - 1)}${LAST}`
}
