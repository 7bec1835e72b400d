// What of one repository goes and what stays, and why. Tags are judged by the policy; all else
// follows: a manifest stays while a tag that stays leads to it, a child while its index stays, a
// referrer and a signature by tag while what they are about stays. Pure, but in pieces, so that
// others have their turn meanwhile: the job that applies it is retain.ts.
import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'
import { Pieces } from '../pacing/pieces.ts'
import { judgeTags, lastUseOf, type TagToJudge, type RetentionVerdict } from './judge-tags.ts'
import type { DecidingPolicy } from './rules.ts'
import { subjectOfTag } from './signature-tag.ts'
import type { TimeRun } from '../time/time-run.ts'

export interface ManifestToJudge {
  readonly digest: Digest
  /** Of a pull, by any tag or by digest, or of the push. */
  readonly lastUsedAtMs: number
  /** By any tag or by digest; undefined: never. */
  readonly pulledAtMs: number | undefined
  /** Manifests that it lists. */
  readonly children: readonly Digest[]
  readonly subject: Digest | undefined
  /** Why it stays whatever the policy says; undefined: nothing else holds it. */
  readonly held: string | undefined
}

export interface RepositoryToJudge {
  readonly tags: readonly TagToJudge[]
  /** All that are here as manifests of the repository. */
  readonly manifests: readonly ManifestToJudge[]
}

export interface Judgement {
  readonly tags: ReadonlyMap<Tag, RetentionVerdict>
  readonly manifests: ReadonlyMap<Digest, RetentionVerdict>
}

export interface JudgeBy {
  readonly policy: DecidingPolicy
  /** How long what no tag leads to stays after its last push or pull. */
  readonly delayMs: number
  readonly nowMs: number
  readonly timeRun: TimeRun
}

export async function judge(by: JudgeBy, repository: RepositoryToJudge): Promise<Judgement> {
  return await new RepositoryJudge(by, repository).judge()
}

class RepositoryJudge {
  readonly #by: JudgeBy
  readonly #repository: RepositoryToJudge
  readonly #pieces = new Pieces()
  readonly #manifests = new Map<Digest, ManifestToJudge>()
  /** Those that are about nothing but themselves. */
  readonly #ownTags: TagToJudge[] = []
  readonly #signatureTags: Signature[] = []
  /** By what they are about, whether that is here or not. */
  readonly #signatures = new Map<Digest, TagToJudge[]>()
  readonly #referrers = new Map<Digest, ManifestToJudge[]>()
  readonly #tagVerdicts = new Map<Tag, RetentionVerdict>()
  readonly #kept = new Map<Digest, string>()

  constructor(by: JudgeBy, repository: RepositoryToJudge) {
    this.#by = by
    this.#repository = repository
  }

  async judge(): Promise<Judgement> {
    const { policy, nowMs, timeRun } = this.#by
    const pieces = this.#pieces
    await this.#index()
    const own = await judgeTags(policy, this.#ownTags, { nowMs, timeRun, pieces })
    await pieces.each(own, ([tag, verdict]) => this.#tagVerdicts.set(tag, verdict))
    for (const { tag, digest } of this.#ownTags) {
      await pieces.done(1)
      if (own.get(tag)?.kind === 'keep') await this.#keep(digest, `the tag ${tag} leads to it`)
    }
    for (const each of this.#signatureTags) await this.#judgeSignature(each)
    await this.#keepWhatNothingFollows()
    return { tags: await this.#withFollowing(), manifests: await this.#manifestVerdicts() }
  }

  async #index(): Promise<void> {
    const { tags, manifests } = this.#repository
    await this.#pieces.each(manifests, each => {
      this.#manifests.set(each.digest, each)
      if (each.subject !== undefined) addTo(this.#referrers, each.subject, each)
    })
    await this.#pieces.each(tags, each => {
      const subject = subjectOfTag(each.tag)
      if (subject === undefined) {
        this.#ownTags.push(each)
      } else {
        this.#signatureTags.push({ ...each, subject })
        addTo(this.#signatures, subject, each)
      }
    })
  }

  /** One that is about nothing here, or that something else holds. */
  async #judgeSignature(each: Signature): Promise<void> {
    await this.#pieces.done(1)
    if (this.#follows(each)) return
    const { tag, digest, held, subject } = each
    const { policy } = this.#by
    const reason = held ?? (policy.deleteReferrers ? this.#youth(lastUseOf(each)) : AWAY)
    if (reason === undefined) {
      const reason = `what it signs is not here: ${subject}`
      this.#tagVerdicts.set(tag, { kind: 'go', reason })
    } else {
      this.#tagVerdicts.set(tag, { kind: 'keep', reason })
      await this.#keep(digest, `the tag ${tag} leads to it`)
    }
  }

  /** What no tag, index or subject decides: by itself, or by its age. */
  async #keepWhatNothingFollows(): Promise<void> {
    const signing = new Set<Digest>()
    await this.#pieces.each(this.#signatureTags, each => {
      if (this.#follows(each)) signing.add(each.digest)
    })
    const { policy } = this.#by
    for (const each of this.#manifests.values()) {
      await this.#pieces.done(1)
      const { digest, subject, held } = each
      if (held !== undefined) await this.#keep(digest, held)
      const isHere = subject !== undefined && this.#manifests.has(subject)
      if (subject !== undefined && !isHere && !policy.deleteReferrers)
        await this.#keep(digest, AWAY)
      if (isHere || signing.has(digest)) continue
      const youth = this.#youth(each.lastUsedAtMs)
      if (!policy.deleteUntagged) await this.#keep(digest, 'deleteuntagged is off')
      else if (youth !== undefined) await this.#keep(digest, youth)
    }
  }

  #follows({ subject, held }: Signature): boolean {
    return held === undefined && this.#manifests.has(subject)
  }

  /** Undefined: it is older than the delay. */
  #youth(lastUsedAtMs: number): string | undefined {
    const { delayMs, nowMs, timeRun } = this.#by
    if (timeRun.usedAgoMs(lastUsedAtMs, nowMs) >= delayMs) return undefined
    return timeRun.agoMs(lastUsedAtMs, nowMs) >= delayMs
      ? 'pulls have been counted for less than the delay'
      : `pushed or pulled ${timeRun.agoText(lastUsedAtMs, nowMs)}, within the delay`
  }

  /** With all that follows it. */
  async #keep(digest: Digest, reason: string): Promise<void> {
    const waiting: (readonly [Digest, string])[] = [[digest, reason]]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [kept, why] = next
      await this.#pieces.done(1)
      const manifest = this.#manifests.get(kept)
      if (manifest === undefined || this.#kept.has(kept)) continue
      this.#kept.set(kept, why)
      for (const child of manifest.children) waiting.push([child, `${kept}, which stays, lists it`])
      for (const referrer of this.#referrers.get(kept) ?? [])
        waiting.push([referrer.digest, `${kept}, which stays, is its subject`])
      for (const signature of this.#signatures.get(kept) ?? [])
        waiting.push([signature.digest, `the tag ${signature.tag} leads to it`])
    }
  }

  /** Signatures by tag, now that all is judged that they are about. */
  async #withFollowing(): Promise<ReadonlyMap<Tag, RetentionVerdict>> {
    await this.#pieces.each(this.#signatureTags, ({ tag, subject }) => {
      if (this.#tagVerdicts.has(tag)) return
      const stays = this.#kept.has(subject)
      this.#tagVerdicts.set(tag, {
        kind: stays ? 'keep' : 'go',
        reason: `what it signs ${stays ? 'stays' : 'goes'}: ${subject}`,
      })
    })
    return this.#tagVerdicts
  }

  async #manifestVerdicts(): Promise<ReadonlyMap<Digest, RetentionVerdict>> {
    const verdicts = new Map<Digest, RetentionVerdict>()
    await this.#pieces.each(this.#manifests.values(), ({ digest, subject }) => {
      const kept = this.#kept.get(digest)
      const goes =
        subject !== undefined && this.#manifests.has(subject)
          ? `its subject goes: ${subject}`
          : 'no tag that stays leads to it'
      verdicts.set(
        digest,
        kept === undefined ? { kind: 'go', reason: goes } : { kind: 'keep', reason: kept },
      )
    })
    return verdicts
  }
}

interface Signature extends TagToJudge {
  readonly subject: Digest
}

function addTo<T>(groups: Map<Digest, T[]>, key: Digest, item: T): void {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, [item])
  else group.push(item)
}

const AWAY = 'what it is about is not here, and deletereferrers is off'
