// What the policies say of one image: which line holds it and until when, or why it goes. It judges
// as the job does, and changes nothing.
import type { Repository, Tag } from '../../oci/reference.ts'
import type { Digest } from '../../oci/digest.ts'
import { Pieces } from '../pacing/pieces.ts'
import { spanText } from '../time/age-text.ts'
import { judge } from './judge.ts'
import { judgeTags, lastUseOf, type TagToJudge, type RetentionVerdict } from './judge-tags.ts'
import { JUDGED_MAX, type ReadDeps, readRepository } from './read-repository.ts'
import { type DecidingPolicy, policyFor, type RetentionRules } from './rules.ts'
import { subjectOfTag } from './signature-tag.ts'
import type { TimeRun } from '../time/time-run.ts'

/** As the job that goes by them has them. */
export interface RetentionNow extends RetentionRules {
  /** By itself it takes nothing away. */
  readonly dryRun: boolean
}

/** What is asked about: the tag if there is one, else the manifest. */
export interface Retained {
  readonly repository: Repository
  readonly tag: Tag | undefined
  readonly digest: Digest
}

export interface Outlook extends RetentionVerdict {
  /** When it goes unless it is pushed or pulled again; absent where age alone ends nothing. */
  readonly untilMs?: number
}

interface OutlookDeps extends ReadDeps {
  readonly nowMs: number
  readonly timeRun: TimeRun
}

/** Undefined where no policy judges it. @throws StoreError */
export async function outlookOf(
  deps: OutlookDeps,
  rules: RetentionRules,
  { repository, tag, digest }: Retained,
): Promise<Outlook | undefined> {
  const policy = policyFor(rules, repository)
  if (policy === undefined) return undefined
  const read = await readRepository(deps, repository)
  if (read === undefined) return { kind: 'keep', reason: `there are more than ${JUDGED_MAX} here` }
  const { nowMs, timeRun } = deps
  const verdicts = await judge({ policy, delayMs: rules.delayMs, nowMs, timeRun }, read)
  if (tag === undefined) return verdicts.manifests.get(digest)
  const verdict = verdicts.tags.get(tag)
  const untilMs = await endOf(policy, read.tags, { tag, nowMs, timeRun })
  return verdict?.kind !== 'keep' || untilMs === undefined ? verdict : { ...verdict, untilMs }
}

/** When the last line lets go of a tag that only age lets go of. */
async function endOf(
  policy: DecidingPolicy,
  all: readonly TagToJudge[],
  { tag, nowMs, timeRun }: { tag: Tag; nowMs: number; timeRun: TimeRun },
): Promise<number | undefined> {
  const pieces = new Pieces()
  const tags: TagToJudge[] = []
  await pieces.each(all, each => {
    if (subjectOfTag(each.tag) === undefined) tags.push(each)
  })
  const judged = tags.find(each => each.tag === tag)
  if (judged === undefined) return undefined
  const never = Number.POSITIVE_INFINITY
  const ends = policy.keepTags
    .flatMap(({ pushedWithinMs = never, pulledWithinMs = never }) => [
      nowMs + pushedWithinMs - timeRun.agoMs(judged.pushedAtMs, nowMs),
      nowMs + pulledWithinMs - timeRun.usedAgoMs(lastUseOf(judged), nowMs),
    ])
    .filter(atMs => atMs > nowMs && atMs < never)
    .sort((a, b) => a - b)
  for (const atMs of ends)
    if ((await judgeTags(policy, tags, { nowMs: atMs, timeRun, pieces })).get(tag)?.kind === 'go')
      return atMs
  return undefined
}

/** When the job runs that goes by the policies, and what it would do. */
export interface NextRun {
  readonly dryRun: boolean
  readonly isPaused: boolean
  /** The last one has left the repository alone: see Unclear. */
  readonly isLeftAlone: boolean
  /** Undefined: not by itself. */
  readonly atMs: number | undefined
  readonly nowMs: number
}

/** A sentence for people. */
export function retentionText(outlook: Outlook | undefined, next: NextRun): string {
  if (outlook === undefined) return 'no policy of storage.retention is about it'
  const { kind, reason, untilMs } = outlook
  const { nowMs } = next
  if (kind === 'go') return `storage.retention lets it go${whenText(next)}: ${reason}`
  const end =
    untilMs === undefined
      ? ''
      : `; unless it is pushed or pulled again it goes in ${spanText(untilMs - nowMs)}`
  return `storage.retention keeps it: ${reason}${end}`
}

function whenText({ dryRun, isPaused, isLeftAlone, atMs, nowMs }: NextRun): string {
  if (dryRun) return ', but storage.retention.dryrun is on'
  if (isLeftAlone)
    return ', but the last run left this repository alone, since something of it is lost or cannot be read: the log names it'
  if (isPaused) return ', but "retain" is paused until "entrepot jobs resume retain"'
  const inText = atMs === undefined ? '' : `, in ${spanText(Math.max(0, atMs - nowMs))}`
  return ` when "retain" runs next${inText}`
}
