// What a retention policy keeps, said as slowly and as plainly as it can be: each tag asked by
// itself how many are before it, and of all else whether anything that stays leads to it, again and
// again until no answer changes. For comparing with the judge, of which it shares nothing but the
// types.
import type { JudgeBy, RepositoryToJudge } from '../../../src/registry/retain/judge.ts'
import type { TagToJudge } from '../../../src/registry/retain/judge-tags.ts'
import type { KeepLine } from '../../../src/registry/retain/rules.ts'

export interface Kept {
  readonly tags: ReadonlySet<string>
  readonly manifests: ReadonlySet<string>
}

/** Of globs only `*` is known to the model: all else stands for itself. */
function isNamed(line: KeepLine, tag: string): boolean {
  return line.patterns.length === 0 || line.patterns.some(glob => fits(glob, tag))
}

function fits(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob.startsWith('*'))
    return fits(glob.slice(1), text) || (text !== '' && fits(glob, text.slice(1)))
  return text.startsWith(glob.slice(0, 1)) && fits(glob.slice(1), text.slice(1))
}

/** Tags are versions of three small numbers here, with `-rc.` and a number or without. */
function rank(tag: string): number | undefined {
  const match = /^v?(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:-rc\.(\d{1,3}))?$/.exec(tag)
  if (match === null) return undefined
  const [, a, b, c, rc] = match
  return (Number(a) * 1e6 + Number(b) * 1e3 + Number(c)) * 1e4 + Number(rc ?? 9_999)
}

function fewerBefore(
  tags: readonly TagToJudge[],
  own: TagToJudge,
  limit: { count: number | undefined; keys: (tag: TagToJudge) => readonly (number | string)[] },
): boolean {
  const { count, keys } = limit
  if (count === undefined) return false
  const mine = keys(own)
  const before = tags.filter(other => {
    const theirs = keys(other)
    const at = mine.findIndex((key, index) => key !== theirs[index])
    return at !== -1 && (theirs[at] as number) > (mine[at] as number)
  })
  return before.length < count
}

function isHeld(line: KeepLine, all: readonly TagToJudge[], own: TagToJudge, nowMs: number) {
  if (!isNamed(line, own.tag)) return false
  const { patterns: _, ...conditions } = line
  if (Object.values(conditions).every(each => each === undefined)) return true
  const tags = all.filter(({ tag }) => isNamed(line, tag))
  const pulled = ({ pulledAtMs }: TagToJudge) => pulledAtMs ?? -1e15
  const isWithin = (atMs: number | undefined, limitMs: number | undefined) =>
    atMs !== undefined && limitMs !== undefined && nowMs - atMs < limitMs
  return (
    isWithin(own.pushedAtMs, line.pushedWithinMs) ||
    isWithin(own.pushedAtMs, line.pulledWithinMs) ||
    isWithin(own.pulledAtMs, line.pulledWithinMs) ||
    fewerBefore(tags, own, {
      count: line.mostRecentlyPushedCount,
      keys: each => [each.pushedAtMs, each.tag],
    }) ||
    fewerBefore(tags, own, {
      count: line.mostRecentlyPulledCount,
      keys: each => [pulled(each), each.pushedAtMs, each.tag],
    }) ||
    (rank(own.tag) !== undefined &&
      fewerBefore(
        tags.filter(({ tag }) => rank(tag) !== undefined),
        own,
        { count: line.highestSemverCount, keys: each => [rank(each.tag) ?? 0, each.tag] },
      ))
  )
}

/** `sha256-ab….sig` → `sha256:ab…` */
function about(tag: string): string | undefined {
  return /^sha256-[0-9a-f]{64}(?:\.[a-z]+)?$/.test(tag) ? `sha256:${tag.slice(7, 71)}` : undefined
}

export function keptByModel(by: JudgeBy, { tags, manifests }: RepositoryToJudge): Kept {
  const { policy, delayMs, nowMs } = by
  const isHere = (digest: string | undefined) => manifests.some(each => each.digest === digest)
  const isYoung = (...times: readonly (number | undefined)[]) =>
    times.some(atMs => atMs !== undefined && nowMs - atMs < delayMs)
  const plain = tags.filter(({ tag }) => about(tag) === undefined)
  const kept = { tags: new Set<string>(), manifests: new Set<string>() }

  const tagStays = (own: TagToJudge): boolean => {
    const subject = about(own.tag)
    if (own.held !== undefined) return true
    if (subject !== undefined && isHere(subject)) return kept.manifests.has(subject)
    if (subject !== undefined)
      return !policy.deleteReferrers || isYoung(own.pushedAtMs, own.pulledAtMs)
    return (
      policy.keepTags.length === 0 || policy.keepTags.some(line => isHeld(line, plain, own, nowMs))
    )
  }
  const manifestStays = (own: RepositoryToJudge['manifests'][number]): boolean => {
    if (own.held !== undefined) return true
    if (tags.some(({ tag, digest }) => digest === own.digest && kept.tags.has(tag))) return true
    const parents = manifests.filter(({ children }) => children.includes(own.digest))
    if (parents.some(({ digest }) => kept.manifests.has(digest))) return true
    if (isHere(own.subject)) return kept.manifests.has(own.subject ?? '')
    if (own.subject !== undefined && !policy.deleteReferrers) return true
    const isSignature = tags.some(
      each => each.digest === own.digest && each.held === undefined && isHere(about(each.tag)),
    )
    if (isSignature) return false
    return !policy.deleteUntagged || isYoung(own.lastUsedAtMs)
  }

  for (let before = -1; before !== kept.tags.size + kept.manifests.size; ) {
    before = kept.tags.size + kept.manifests.size
    for (const each of tags) if (!kept.tags.has(each.tag) && tagStays(each)) kept.tags.add(each.tag)
    for (const each of manifests)
      if (!kept.manifests.has(each.digest) && manifestStays(each)) kept.manifests.add(each.digest)
  }
  return kept
}
