// Why a policy lets go of a tag: each condition of each line that is about it, and what these look
// at.
import type { Tag } from '../../oci/reference.ts'
import { spanText } from '../time/age-text.ts'
import type { TimeRun } from '../time/time-run.ts'
import { CONDITIONS, type KeepLine } from './rules.ts'
import { versionOf } from './semver.ts'

export interface NamedLine {
  readonly line: KeepLine
  /** As the configuration has it. */
  readonly called: string
}

interface TagWithAges {
  readonly tag: Tag
  readonly pushedAtMs: number
  readonly pulledAtMs: number | undefined
}

interface Times {
  readonly nowMs: number
  readonly timeRun: TimeRun
}

/** `lines`: those that are about it, none of which holds it. For people. */
export function whyNotHeld(tag: TagWithAges, lines: readonly NamedLine[], by: Times): string {
  if (lines.length === 0) return 'no line of keeptags names it'
  const conditions = lines.flatMap(({ line, called }) =>
    askedBy(line).map(word => `${called}.${word}`),
  )
  const asksForVersions = lines.some(({ line }) => line.highestSemverCount !== undefined)
  const noVersion =
    asksForVersions && versionOf(tag.tag) === undefined ? ', its name is no version' : ''
  const all = conditions.join(', ')
  const none = conditions.length === 1 ? `${all} does not hold it` : `none of ${all} holds it`
  return `${none}: ${agesOf(tag, by)}${noVersion}`
}

function askedBy(line: KeepLine): readonly string[] {
  const all = Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[]
  return all.filter(key => line[key] !== undefined).map(key => CONDITIONS[key])
}

function agesOf({ pushedAtMs, pulledAtMs }: TagWithAges, { nowMs, timeRun }: Times): string {
  const ago = (atMs: number) => timeRun.agoText(atMs, nowMs)
  const counted = spanText(timeRun.agoMs(timeRun.sinceMs, nowMs))
  const never =
    pushedAtMs < timeRun.sinceMs ? `never in ${counted} in which it was counted` : 'never'
  return `pushed ${ago(pushedAtMs)}, pulled ${pulledAtMs === undefined ? never : ago(pulledAtMs)}`
}
