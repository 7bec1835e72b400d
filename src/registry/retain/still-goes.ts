// Whether what was judged to go still does when its turn has come. A repository is judged as a
// whole, once, and then taken out a few at a time, while clients push, pull and pin: what any of
// that may keep is passed over. What they delete meanwhile keeps nothing, as if the run had been
// before it.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import { rowsOf } from '../pacing/pages.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { Clock } from '../ports/clock.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Going } from './in-order.ts'
import type { Judgement, ManifestToJudge, RepositoryToJudge } from './judge.ts'
import type { TagToJudge } from './judge-tags.ts'
import {
  openReading,
  type ReadDeps,
  type Reading,
  readManifest,
  readTag,
} from './read-repository.ts'
import { subjectOfTag } from './signature-tag.ts'

/**
 * What many are about is not looked at for each of them: uses are not written down more often than
 * that.
 */
const LOOKED_FOR_MS = 5_000

interface StillGoesDeps extends ReadDeps {
  readonly clock: Pick<Clock, 'monotonicMs'>
}

interface Looked {
  /** What it is about, of what was judged; undefined: it does not go any more. */
  readonly subjects: readonly Digest[] | undefined
  readonly atMs: number
}

export class StillGoes {
  readonly #deps: StillGoesDeps
  readonly #repository: Repository
  readonly #judgement: Judgement
  readonly #manifests = new Map<Digest, ManifestToJudge>()
  readonly #goingTags = new Map<Tag, TagToJudge>()
  readonly #looked = new Map<Digest, Looked>()

  private constructor(deps: StillGoesDeps, repository: Repository, judgement: Judgement) {
    this.#deps = deps
    this.#repository = repository
    this.#judgement = judgement
  }

  static async open(
    deps: StillGoesDeps,
    repository: Repository,
    judged: RepositoryToJudge & { readonly judgement: Judgement },
  ): Promise<StillGoes> {
    const still = new StillGoes(deps, repository, judged.judgement)
    const pieces = new Pieces()
    await pieces.each(judged.manifests, each => still.#manifests.set(each.digest, each))
    await pieces.each(judged.tags, each => {
      if (judged.judgement.tags.get(each.tag)?.kind === 'go') still.#goingTags.set(each.tag, each)
    })
    return still
  }

  /** Those of the batch that still go. MUST run in the repository's turn. @throws StoreError */
  async of(batch: readonly Going[]): Promise<readonly Going[]> {
    const reading = await openReading(this.#deps, this.#repository)
    const goes: Going[] = []
    const manifests = new Set<Digest>()
    for (const each of batch) {
      if (each.kind === 'tag') {
        if (await this.#tagGoes(reading, each.tag)) goes.push(each)
      } else if (await this.#manifestGoes(reading, each.digest, manifests)) {
        goes.push(each)
        manifests.add(each.digest)
      }
    }
    return goes
  }

  /** It was not taken out: nor is what it lists, or what is about it. */
  stays(digest: Digest): void {
    this.#looked.set(digest, { subjects: undefined, atMs: this.#deps.clock.monotonicMs() })
  }

  async #tagGoes(reading: Reading, tag: Tag): Promise<boolean> {
    const recorded = await this.#deps.catalog.findTag(this.#repository, tag)
    if (recorded === undefined || !(await this.#isAsJudged(reading, recorded))) return false
    const subject = this.#subjectOf(tag)
    return subject === undefined || (await this.#allGo(reading, subject))
  }

  /** `before`: what goes of its batch. All else that listed it has gone, unless it has to stay. */
  async #manifestGoes(
    reading: Reading,
    digest: Digest,
    before: ReadonlySet<Digest>,
  ): Promise<boolean> {
    if (!(await this.#allGo(reading, digest))) return false
    for await (const lister of this.#listersOf(digest)) if (!before.has(lister)) return false
    return true
  }

  /** It, what it is about, and what lists that, on and on: all that it would stay with. */
  async #allGo(reading: Reading, first: Digest): Promise<boolean> {
    const above = new Set([first])
    for (const digest of above) {
      const subjects = await this.#look(reading, digest, digest === first)
      if (subjects === undefined) return false
      for (const each of subjects) above.add(each)
      if (digest !== first) for await (const lister of this.#listersOf(digest)) above.add(lister)
    }
    return true
  }

  #listersOf(digest: Digest): AsyncGenerator<Digest> {
    return rowsOf<Digest, Digest>(
      page => this.#deps.catalog.listListers(this.#repository, digest, page),
      lister => lister,
    )
  }

  async #look(
    reading: Reading,
    digest: Digest,
    isFresh: boolean,
  ): Promise<readonly Digest[] | undefined> {
    const atMs = this.#deps.clock.monotonicMs()
    const known = this.#looked.get(digest)
    // What was found to stay does: something about it may have stayed for that.
    if (known !== undefined && known.subjects === undefined) return undefined
    if (known !== undefined && !isFresh && atMs - known.atMs < LOOKED_FOR_MS) return known.subjects
    const subjects = await this.#subjectsOf(reading, digest)
    this.#looked.set(digest, { subjects, atMs })
    return subjects
  }

  /** Undefined when it is no longer as it was judged. */
  async #subjectsOf(reading: Reading, digest: Digest): Promise<readonly Digest[] | undefined> {
    const judged = this.#manifests.get(digest)
    if (judged === undefined || this.#judgement.manifests.get(digest)?.kind !== 'go')
      return undefined
    const now = await readManifest(reading, digest)
    if (now === undefined || now.held !== undefined) return undefined
    const subjects = new Set<Digest>()
    if (judged.subject !== undefined) {
      if (await this.#hasCome(judged.subject)) return undefined
      if (this.#manifests.has(judged.subject)) subjects.add(judged.subject)
    }
    const tags = rowsOf<RecordedTag, Tag>(
      page => this.#deps.catalog.listTagsTo(this.#repository, digest, page),
      ({ tag }) => tag,
    )
    for await (const tag of tags) {
      if (!(await this.#isAsJudged(reading, tag))) return undefined
      const subject = this.#subjectOf(tag.tag)
      if (subject !== undefined) subjects.add(subject)
    }
    // Of what stays with something else nobody asks how old it is.
    if (subjects.size === 0 && now.lastUsedAtMs !== judged.lastUsedAtMs) return undefined
    return [...subjects]
  }

  /** By itself: what it is about may stay. */
  async #isAsJudged(reading: Reading, recorded: RecordedTag): Promise<boolean> {
    const { tag, digest } = recorded
    const judged = this.#goingTags.get(tag)
    if (judged?.digest !== digest) return false
    const subject = subjectOfTag(tag)
    if (subject !== undefined && (await this.#hasCome(subject))) return false
    const usage = await this.#deps.catalog.tagUsageOf(this.#repository, tag)
    const now = await readTag(reading, { ...recorded, usage })
    if (now.held !== undefined) return false
    if (this.#subjectOf(tag) !== undefined) return true
    return now.pushedAtMs === judged.pushedAtMs && now.pulledAtMs === judged.pulledAtMs
  }

  /** Of a signature's tag, where it is here. */
  #subjectOf(tag: Tag): Digest | undefined {
    const subject = subjectOfTag(tag)
    return subject !== undefined && this.#manifests.has(subject) ? subject : undefined
  }

  /** Since it was judged. */
  async #hasCome(subject: Digest): Promise<boolean> {
    if (this.#manifests.has(subject)) return false
    return (await this.#deps.catalog.findManifest(this.#repository, subject)) !== undefined
  }
}
