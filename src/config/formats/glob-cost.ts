// What a pattern may cost to match. Clients choose names and tags, and patterns run on the thread
// that serves: what a long name that nearly matches would hold up is refused when it is read.
import type { Parsed } from './units.ts'

/**
 * With each wildcard that something follows, a long tag that nearly matches takes some fifty times
 * as long: milliseconds for three of them, seconds for five.
 */
const TAG_WILDCARDS_MAX = 4
/** Names are twice as long as tags: 50 ms for three of them, a second for four. */
const NAME_WILDCARDS_MAX = 3
const EACH_WILDCARD = 50
/** Ways to read a pattern by its choices, of which a text may try all. */
const CHOICES_MAX = 256

/** Of `**(…)` the last star is the bracket's: two of them. */
const WILDCARD = /\*\(|\*+(?=\*\()|\*+|[+!]\(/g
const LAST_STARS = /\*+$/
const ACROSS_SLASHES = '**'
/** Such a choice is not cut at its slashes. */
const CHOICE_WITH_SLASH = /[[({][^\])}]*\//

export function costlyTag(glob: string): Parsed<never> | undefined {
  const wildcards = wildcardsOf(glob.replace(LAST_STARS, ''))
  return costly(glob, wildcards, { max: TAG_WILDCARDS_MAX, where: 'before its end' })
}

/** Of names with slashes, with a host before them or without. */
export function costlyName(glob: string): Parsed<never> | undefined {
  const wildcards = wildcardsOfName(glob.replace(LAST_STARS, ''))
  const where = 'in one component and as ** before its end'
  return costly(glob, wildcards, { max: NAME_WILDCARDS_MAX, where })
}

function costly(
  glob: string,
  wildcards: number,
  { max, where }: { max: number; where: string },
): Parsed<never> | undefined {
  const choices = choicesOf(glob)
  if (choices > CHOICES_MAX)
    return fault(
      `can be read in ${choices} ways by its choices, and at most ${CHOICES_MAX} can be matched in time`,
    )
  if (wildcards > max)
    return fault(`has ${wildcards} wildcards ${where}, and at most ${max} can be matched in time`)
  if (choices * EACH_WILDCARD ** wildcards <= EACH_WILDCARD ** max) return undefined
  return fault(
    `has ${wildcards} wildcards ${where} and can be read in ${choices} ways by its choices, which takes too long together: write some of them out`,
  )
}

function fault(message: string): Parsed<never> {
  return { kind: 'fault', message }
}

function wildcardsOf(glob: string): number {
  return glob.match(WILDCARD)?.length ?? 0
}

/** Slashes end what `*` tries, so that components add up; each `**` tries all of them again. */
function wildcardsOfName(glob: string): number {
  if (CHOICE_WITH_SLASH.test(glob)) return wildcardsOf(glob)
  const components = glob.split('/')
  const within = components.filter(each => each !== ACROSS_SLASHES).map(wildcardsOf)
  return components.length - within.length + Math.max(0, ...within)
}

/** All combined, also of those that stand beside each other or in each other. */
function choicesOf(glob: string): number {
  const open: number[] = []
  let choices = 1
  for (let at = 0; at < glob.length; at += 1) {
    const character = glob.charAt(at)
    if (character === '(' || character === '{')
      open.push(character === '(' && glob[at - 1] === '?' ? 2 : 1)
    else if ((character === '|' || character === ',') && open.length > 0)
      open.push((open.pop() ?? 0) + 1)
    else if (character === ')' || character === '}')
      choices *= (open.pop() ?? 1) + (/^\)\?(?!\()/.test(glob.slice(at)) ? 1 : 0)
  }
  return choices
}
