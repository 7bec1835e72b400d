// Patterns over repository names and tags, as far as they can be judged without a name to match:
// nothing is matched here, and they are compiled as they are where they run. `*` stays inside one
// component of a name, `**` crosses slashes; alone, `*` means everything, too.
import picomatch, { type PicomatchOptions } from 'picomatch'
import { NAME_GLOB, TAG_GLOB } from '../../oci/name-glob.ts'
import { nameFrom } from '../../oci/reference.ts'
import { costlyName, costlyTag } from './glob-cost.ts'
import type { Parsed } from './units.ts'

/** One `tags[].match`: which tags of which repositories. Both are globs. */
export interface TagPattern {
  readonly repository: string
  readonly tag: string
}

/** Patterns are compiled and run for every request. */
const LONGEST_GLOB = 256
const NAME_CHARACTERS = /^[a-z0-9._/*?[\]{}!(),|+@^-]+$/
/** Its brackets are no choice of characters; what stands for any one character matches them. */
const IPV6_HOST = /^\[([0-9a-f.]*:[0-9a-f:.]+)\](?=[:/])/
const TAG_CHARACTERS = /^[a-zA-Z0-9._*?[\]{}!(),|+^-]+$/

const LONGEST_TAG = 128

/** What else stands alone is a name, which belongs to this edge itself. */
const LIKE_HOST = /[.:*]|^localhost$/

/** Parts of a choice that has slashes in it are none of these. */
const NO_GLOB = /^[a-z0-9._-]*$/

function fault(message: string, suggestion?: string): Parsed<never> {
  return suggestion === undefined
    ? { kind: 'fault', message }
    : { kind: 'fault', message, suggestion }
}

/** A glob over names inside a registry: `library/**`. A lone `*` comes back as `**`. */
export function readNameGlob(text: string): Parsed<string> {
  if (text === '*' || text === '**') return { kind: 'ok', value: '**' }
  if (/[A-Z]/.test(text)) return fault('repository names are lower-case', text.toLowerCase())
  if (text.startsWith('/'))
    return fault('a name does not begin with a slash', text.replace(/^\/+/, ''))
  if (text.endsWith('/'))
    return fault('this matches nothing: a name does not end with a slash', `${text}**`)
  if (!NAME_CHARACTERS.test(text)) return fault('holds a character that no repository name has')
  if (/^!(?!\()/.test(text))
    return fault(
      'this matches nothing: a pattern cannot be turned round as a whole; use exclude, or !(…) around a component',
    )
  const judged = costlyName(text) ?? checked(text, NAME_GLOB)
  return judged.kind === 'ok' ? (inNoName(text.split('/')) ?? judged) : judged
}

/** Components that stand for themselves alone, and that no name has. */
function inNoName(components: readonly string[]): Parsed<never> | undefined {
  const wrong = components.find(each => NO_GLOB.test(each) && nameFrom(each) === undefined)
  if (wrong === undefined) return undefined
  return fault(
    wrong === ''
      ? 'this matches nothing: a name has no two slashes beside each other'
      : `this matches nothing: ${wrong} is in no repository name`,
  )
}

/**
 * A glob over canonical repositories, `host/name`: `registry.example.com/team/**`. A lone `*` comes
 * back as `**`.
 */
export function readRepositoryGlob(text: string): Parsed<string> {
  if (text === '*' || text === '**') return { kind: 'ok', value: '**' }
  if (/[A-Z]/.test(text))
    return fault('hosts and repository names are lower-case', text.toLowerCase())
  if (/^[a-z]+:\/\//.test(text))
    return fault(
      'a pattern begins with the host, without https://',
      text.replace(/^[a-z]+:\/\//, ''),
    )
  if (text.startsWith('/'))
    return fault('a pattern begins with the host, not with a slash', text.replace(/^\/+/, ''))
  if (text.endsWith('/'))
    return fault('this matches nothing: a name does not end with a slash', `${text}**`)
  // Colons stand before a port.
  if (!NAME_CHARACTERS.test(text.replaceAll(':', '')))
    return fault('holds a character that no repository has')
  if (!text.includes('/') && !text.startsWith('**'))
    return fault(
      'is matched against host/name, so it needs a slash',
      LIKE_HOST.test(text) ? `${text}/**` : `localhost/${text}`,
    )
  const judged = costlyName(text) ?? checked(text.replace(IPV6_HOST, '?$1?'))
  return judged.kind === 'ok' ? (inNoName(text.split('/').slice(1)) ?? judged) : judged
}

/** `<repository glob>:<tag glob>`, or with `@` between them, which means the same. */
export function readTagPattern(text: string): Parsed<TagPattern> {
  const message = 'is <repository pattern>:<tag pattern>, such as "*:latest"'
  const separator = text.search(/:|@(?!\()/)
  if (separator === -1)
    return fault(message, `${text.includes('/') ? text : '*'}:${text.includes('/') ? '*' : text}`)
  const repository = readNameGlob(text.slice(0, separator))
  if (repository.kind === 'fault') return repository
  const tag = text.slice(separator + 1)
  if (tag.includes(':')) return fault('a digest never goes stale; patterns are for tags')
  if (!TAG_CHARACTERS.test(tag))
    return fault(tag === '' ? message : 'holds a character that no tag has')
  const checkedTag = costlyTag(tag) ?? checked(tag)
  if (checkedTag.kind === 'fault') return checkedTag
  return { kind: 'ok', value: { repository: repository.value, tag: checkedTag.value } }
}

/** What says in regular expressions what `*` says here, and what no pattern has. */
const REGULAR_EXPRESSION = /^\^|\$$|^\.[*+]|\.\+|\\|\[\^?[a-zA-Z0-9-]+\][*+]/

/** A glob over whole tags: `v1.*`, `!(latest|edge)`. Others take regular expressions here. */
export function readTagGlob(text: string): Parsed<string> {
  if (REGULAR_EXPRESSION.test(text)) {
    const glob = text
      .replace(/^\^/, '')
      .replace(/\$$/, '')
      .replace(/\\d\+?|\.[*+]/g, '*')
      .replaceAll('\\.', '.')
      .replace(/\*+/g, '*')
    return fault(
      'is a regular expression: patterns are globs over whole tags here, in which * stands for any characters',
      TAG_CHARACTERS.test(glob) && !/[\\+^$]/.test(glob) ? glob : undefined,
    )
  }
  if (text.includes('/')) return fault('this matches nothing: no tag has a slash')
  if (text.includes(':')) return fault('is matched against tags alone', text.replace(/^.*:/, ''))
  if (!TAG_CHARACTERS.test(text))
    return fault(text === '' ? 'must not be empty' : 'holds a character that no tag has')
  if (/^!(?!\()/.test(text))
    return fault('this matches nothing: all but some tags is written !(…)', `!(${text.slice(1)})`)
  if (/^[.-]/.test(text))
    return fault(`this matches nothing: a tag does not begin with ${text.slice(0, 1)}`, `*${text}`)
  if (!GLOB.test(text) && text.length > LONGEST_TAG)
    return fault(`this matches nothing: a tag has at most ${LONGEST_TAG} characters`)
  return costlyTag(text) ?? checked(text, TAG_GLOB)
}

/** Something of several lengths any number of times: no tag is short enough. */
const REPEATED_CHOICE = /[+*]\([^)]*[*+({]/
const REPEATED = /[+*]\(([^()]*)\)/g
/** To the compiler it repeats what is before it, as in regular expressions. No name has one. */
const OTHER_PLUS = /\+(?!\()/
/** To the compiler a ? there is the character, and a + before the bracket repeats a group. */
const LATE_QUESTION = /\(\?/
const ALIKE =
  'repeats a choice between beginnings of each other: say fewer, write one […], or use *'

/** May some text be read in two ways as a repeated choice? */
function isAlike(glob: string): boolean {
  return [...glob.matchAll(REPEATED)].some(([, body = '']) => {
    const parts = body.split('|')
    const isPlain = parts.every(part => NO_GLOB.test(part.toLowerCase()))
    const begins = (a: string, at: number) => parts.some((b, i) => i !== at && b.startsWith(a))
    return parts.length > 1 && (!isPlain || parts.some(begins))
  })
}

const UNBALANCED = fault('has a bracket without its partner')

function count(text: string, character: string): number {
  return text.split(character).length
}

/** Brackets must close, or the pattern would silently match itself only. */
function checked(glob: string, options: PicomatchOptions = { dot: true }): Parsed<string> {
  if (glob.length > LONGEST_GLOB) return fault(`a pattern has at most ${LONGEST_GLOB} characters`)
  if (REPEATED_CHOICE.test(glob))
    return fault('repeats what has a * or a choice in it, which takes hours to match against some')
  if (OTHER_PLUS.test(glob))
    return fault('has a + that no bracket follows: what is repeated is written +(…)')
  if (isAlike(glob)) return fault(ALIKE)
  if (LATE_QUESTION.test(glob))
    return fault('has a ? right behind a bracket, where it stands for itself: no name has one')
  try {
    const { source } = picomatch.makeRe(glob, { ...options, strictBrackets: true })
    // What the compiler gives for ranges that run backwards.
    if (source === '$^') return fault('can match nothing')
    // What the compiler does not repeat: it stands for itself then, brackets and all.
    if (/\\[+*]\\\(/.test(source)) return fault(ALIKE)
    return count(glob, '{') === count(glob, '}') ? { kind: 'ok', value: glob } : UNBALANCED
  } catch {
    return UNBALANCED
  }
}

const EVERYTHING = '**'
/** Whatever stands for more than itself. */
const GLOB = /[*?[\]{}()!+@|]/
/** A choice between names of several components cannot be looked at component by component. */
const CHOICE_WITH_SLASH = /[[({][^\])}]*\//

/**
 * Does one pattern match all that another one matches? Asked of rules of which the first that
 * matches holds, so that those that can never hold are told. Only what is sure is said: a pattern
 * with choices covers itself alone. Both over names with slashes: repositories, with their host or
 * without.
 */
export function covers(earlier: string, later: string): boolean {
  if (earlier === later || earlier === EVERYTHING) return true
  if (CHOICE_WITH_SLASH.test(earlier) || CHOICE_WITH_SLASH.test(later)) return false
  const wide = earlier.split('/')
  const narrow = later.split('/')
  for (const [index, component] of wide.entries()) {
    const other = narrow[index]
    if (other === undefined) return false
    if (component === EVERYTHING && index === wide.length - 1) return true
    if (other.includes(EVERYTHING)) return false
    if (component !== '*' && (GLOB.test(component) || component !== other)) return false
  }
  return wide.length === narrow.length
}

/** The same of two over tags. */
export function coversTag(earlier: string, later: string): boolean {
  return earlier === later || earlier === '*' || earlier === EVERYTHING
}
