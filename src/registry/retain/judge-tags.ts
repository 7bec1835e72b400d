// Which tags a policy keeps: those that any condition of any of its lines holds. Pure: the same
// tags and time give the same verdicts, in whatever order they come.
import picomatch from 'picomatch'
import type { Digest } from '../../oci/digest.ts'
import { TAG_GLOB } from '../../oci/name-glob.ts'
import type { Tag } from '../../oci/reference.ts'
import type { Pieces } from '../pacing/pieces.ts'
import { spanText } from '../time/age-text.ts'
import { firstOf } from './first-of.ts'
import { CONDITIONS, type DecidingPolicy, type KeepLine } from './rules.ts'
import { compareVersions, type Version, versionOf } from './semver.ts'
import type { TimeRun } from '../time/time-run.ts'
import { type NamedLine, whyNotHeld } from './why-not-held.ts'

export interface TagToJudge {
  readonly tag: Tag
  readonly digest: Digest
  readonly pushedAtMs: number
  /** It, or what it leads to, by whatever name; undefined: never. */
  readonly pulledAtMs: number | undefined
  /** Why it stays whatever the policy says; undefined: nothing else holds it. */
  readonly held: string | undefined
}

export interface RetentionVerdict {
  readonly kind: 'keep' | 'go'
  /** For people: `policies[0].keeptags[0].pushedwithin: pushed 3 days ago`. */
  readonly reason: string
}

export interface TagsJudgedBy {
  readonly nowMs: number
  readonly timeRun: TimeRun
  /** Others have their turn meanwhile: there may be very many. */
  readonly pieces: Pieces
}

/** A verdict for each tag. Where there are no lines, all stay. */
export async function judgeTags(
  policy: Pick<DecidingPolicy, 'keepTags' | 'place'>,
  tags: readonly TagToJudge[],
  by: TagsJudgedBy,
): Promise<ReadonlyMap<Tag, RetentionVerdict>> {
  const { keepTags: lines, place } = policy
  const { pieces } = by
  const kept = new Map<Tag, string>()
  const named = new Map<Tag, NamedLine[]>()
  await pieces.each(tags, ({ tag, held }) => {
    if (held !== undefined) kept.set(tag, held)
  })
  for (const [index, line] of lines.entries()) {
    const called = `policies[${place}].keeptags[${index}]`
    const ofLine = await namedBy(line, tags, pieces)
    await pieces.each(ofLine, ({ tag }) => {
      const already = named.get(tag)
      if (already === undefined) named.set(tag, [{ line, called }])
      else already.push({ line, called })
    })
    await new HeldBy(ofLine, by, (tag, condition) => {
      if (!kept.has(tag)) kept.set(tag, `${called}.${condition}`)
    }).tell(line)
  }
  const verdicts = new Map<Tag, RetentionVerdict>()
  await pieces.each(tags, each => {
    const reason = lines.length === 0 ? 'no line says which tags go' : kept.get(each.tag)
    verdicts.set(
      each.tag,
      reason === undefined
        ? { kind: 'go', reason: whyNotHeld(each, named.get(each.tag) ?? [], by) }
        : { kind: 'keep', reason },
    )
  })
  return verdicts
}

async function namedBy(
  { patterns }: KeepLine,
  tags: readonly TagToJudge[],
  pieces: Pieces,
): Promise<readonly TagToJudge[]> {
  if (patterns.length === 0) return tags
  const matches = picomatch([...patterns], TAG_GLOB)
  const named: TagToJudge[] = []
  await pieces.each(tags, each => {
    if (matches(each.tag)) named.push(each)
  })
  return named
}

type Compare = (a: TagToJudge, b: TagToJudge) => number

/** Of what is equally recent, the tag that comes last in ASCII order: usually the higher one. */
const byName: Compare = (a, b) => (a.tag < b.tag ? 1 : -1)
const byPush: Compare = (a, b) => b.pushedAtMs - a.pushedAtMs || byName(a, b)
/** What nobody pulled comes after all that somebody did. */
const byPull: Compare = (a, b) => pullOf(b) - pullOf(a) || byPush(a, b)

interface VersionTag {
  readonly each: TagToJudge
  readonly version: Version
}
const byVersion = (a: VersionTag, b: VersionTag) =>
  compareVersions(b.version, a.version) || byName(a.each, b.each)

function pushOf({ pushedAtMs }: TagToJudge): number {
  return pushedAtMs
}

function pullOf({ pulledAtMs }: TagToJudge): number {
  return pulledAtMs ?? Number.MIN_SAFE_INTEGER
}

export function lastUseOf({ pushedAtMs, pulledAtMs }: TagToJudge): number {
  return Math.max(pushedAtMs, pulledAtMs ?? pushedAtMs)
}

/** Which of the tags that a line is about it holds, and by which condition. */
class HeldBy {
  readonly #tags: readonly TagToJudge[]
  readonly #by: TagsJudgedBy
  readonly #hold: (tag: Tag, condition: string) => void

  constructor(
    tags: readonly TagToJudge[],
    by: TagsJudgedBy,
    hold: (tag: Tag, condition: string) => void,
  ) {
    this.#tags = tags
    this.#by = by
    this.#hold = hold
  }

  async tell(line: KeepLine): Promise<void> {
    const { mostRecentlyPushedCount: pushed, mostRecentlyPulledCount: pulled } = line
    const { highestSemverCount: highest, pushedWithinMs, pulledWithinMs } = line
    const conditions = [pushed, pulled, highest, pushedWithinMs, pulledWithinMs]
    if (conditions.every(each => each === undefined)) {
      await this.#by.pieces.each(this.#tags, ({ tag }) => this.#hold(tag, `patterns: ${tag}`))
      return
    }
    await this.#first(pushed, { by: byPush, at: pushOf, word: CONDITIONS.mostRecentlyPushedCount })
    await this.#first(pulled, { by: byPull, at: pullOf, word: PULLED_COUNT })
    await this.#uncounted(pulled)
    await this.#highestVersions(highest)
    await this.#pushedWithin(pushedWithinMs)
    await this.#pulledWithin(pulledWithinMs)
  }

  /**
   * What a clock that was ahead tells as still to come has no place, and stays: it would be before
   * all that is pushed or pulled from now on, which would go at once.
   */
  async #first(
    count: number | undefined,
    { by, at, word }: { by: Compare; at: (each: TagToJudge) => number; word: string },
  ): Promise<void> {
    if (count === undefined) return
    const { nowMs, pieces } = this.#by
    const ranked: TagToJudge[] = []
    await pieces.each(this.#tags, each => {
      if (at(each) <= nowMs) ranked.push(each)
      else this.#hold(each.tag, `${word}: its time is of a clock that was ahead`)
    })
    let place = 0
    await pieces.each(await firstOf(ranked, { count, by }, pieces), ({ tag }) => {
      place += 1
      this.#hold(tag, `${word}: ${place} of ${count}`)
    })
  }

  /**
   * Of what was there before pulls were counted, nobody knows which was pulled last: all of it
   * stays while of the rest too few were pulled, for as long as it takes to find out.
   */
  async #uncounted(count: number | undefined): Promise<void> {
    const { nowMs, timeRun, pieces } = this.#by
    const countedMs = timeRun.agoMs(timeRun.sinceMs, nowMs)
    if (count === undefined || countedMs >= FOUND_OUT_MS) return
    let pulled = 0
    const unknown: TagToJudge[] = []
    await pieces.each(this.#tags, each => {
      if (each.pulledAtMs !== undefined) pulled += 1
      else if (each.pushedAtMs < timeRun.sinceMs) unknown.push(each)
    })
    if (pulled >= count) return
    const why = `${PULLED_COUNT}: ${countedText(this.#by)}`
    await pieces.each(unknown, ({ tag }) => this.#hold(tag, why))
  }

  async #highestVersions(count: number | undefined): Promise<void> {
    if (count === undefined) return
    const { pieces } = this.#by
    const versions: VersionTag[] = []
    await pieces.each(this.#tags, each => {
      const version = versionOf(each.tag)
      if (version !== undefined) versions.push({ each, version })
    })
    let place = 0
    await pieces.each(await firstOf(versions, { count, by: byVersion }, pieces), ({ each }) => {
      place += 1
      this.#hold(each.tag, `${CONDITIONS.highestSemverCount}: ${place} of ${count}`)
    })
  }

  async #pushedWithin(limitMs: number | undefined): Promise<void> {
    if (limitMs === undefined) return
    const { nowMs, timeRun, pieces } = this.#by
    await pieces.each(this.#tags, ({ tag, pushedAtMs }) => {
      if (timeRun.agoMs(pushedAtMs, nowMs) >= limitMs) return
      this.#hold(tag, `${CONDITIONS.pushedWithinMs}: pushed ${timeRun.agoText(pushedAtMs, nowMs)}`)
    })
  }

  async #pulledWithin(limitMs: number | undefined): Promise<void> {
    if (limitMs === undefined) return
    const { nowMs, timeRun, pieces } = this.#by
    await pieces.each(this.#tags, each => {
      const usedAtMs = lastUseOf(each)
      if (timeRun.usedAgoMs(usedAtMs, nowMs) >= limitMs) return
      const what = usedAtMs === each.pushedAtMs ? 'pushed' : 'pulled'
      const isKnown = usedAtMs >= timeRun.sinceMs || timeRun.agoMs(usedAtMs, nowMs) < limitMs
      const why = isKnown
        ? `${what} ${timeRun.agoText(usedAtMs, nowMs)}`
        : countedText({ nowMs, timeRun })
      this.#hold(each.tag, `${CONDITIONS.pulledWithinMs}: ${why}`)
    })
  }
}

const PULLED_COUNT = CONDITIONS.mostRecentlyPulledCount
/** What nobody has pulled in a month of looking counts as what nobody pulls. */
const FOUND_OUT_MS = 30 * 86_400_000

type Times = Pick<TagsJudgedBy, 'nowMs' | 'timeRun'>

function countedText({ nowMs, timeRun }: Times): string {
  return `pulls have been counted for ${spanText(timeRun.agoMs(timeRun.sinceMs, nowMs))} only`
}
