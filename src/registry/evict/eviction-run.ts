// One run of the eviction: page by page, until as much is free as is wanted, or nothing more may
// leave. A run that is only thought of takes the same steps, and lets nothing go.
import type { Haste } from '../../async/haste.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'
import type { LetGoHow } from '../leave/departures.ts'
import type { Leaving } from '../leave/leaving.ts'
import { freedBytes } from '../leave/loosened.ts'
import { type Left, sumOf } from '../leave/pass.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Footprint, Image } from '../ports/catalog-images.ts'
import type { Clock } from '../ports/clock.ts'
import type { Candidate, Stage } from './candidate.ts'
import { type Choice, choose, type Chooser } from './choose.ts'
import { type Chosen, type Measure, sumOfEach, thoseThatLeft, whatOf } from './chosen.ts'
import { nameOf, TAGS_TOLD, type Told, tellOf } from './gone.ts'
import { Judge, type JudgeDeps } from './judge.ts'
import { type CandidatePage, EvictionScan, type ScanPlace } from './scan.ts'
import { createPacer } from '../pacing/pacer.ts'
import type { Quota } from '../routing/quota.ts'
import { type Batch, NOTHING_LEFT } from './tell-batch.ts'
import type { Quotas, QuotaStandings } from './quotas.ts'

/** Pages of which nothing became free, though it should have. */
const VAIN_PAGES_MAX = 2
/**
 * Pages whose files are being removed while the next is chosen and written down: else the disk
 * would wait for who chooses. Not more, since what they free is only expected by then.
 */
const REMOVED_MEANWHILE = 1

export interface EvictionRunDeps extends JudgeDeps {
  readonly catalog: JudgeDeps['catalog'] &
    Pick<
      Catalog,
      | 'totals'
      | 'listLoose'
      | 'listColdest'
      | 'footprint'
      | 'trimGhosts'
      | 'listRepositoryBytes'
      | 'listTagsOf'
    >
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  readonly leaving: Pick<Leaving, 'letGo' | 'evict'>
  readonly haste: Haste
  /** As they are now. */
  readonly quotas: () => Quotas
}

export interface EvictionRunOptions {
  readonly standings: QuotaStandings
  readonly stages: readonly Stage[]
  /** Where the run before stood. */
  readonly from?: ScanPlace | undefined
  /** How much is still to become free by this stage; 0: it is over. */
  readonly wanted: (stage: Stage) => number
  /** Default bytes. */
  readonly measure?: Measure
  /** Does somebody of this quota need the room? */
  readonly isOwn: (quota: Quota) => boolean
  /** Default nobody. */
  readonly told?: Told | undefined
}

/**
 * `exhausted`: nothing more may leave. `in vain`: some should have, and nothing became free.
 * `outdated`: the operator has said something else meanwhile, which another run goes by.
 */
export type EvictionOutcome = 'done' | 'exhausted' | 'in vain' | 'outdated'

export type Freed = (bytes: number, files: number) => void

type TagsOf = ReadonlyMap<Candidate, readonly Tag[]>

/** A page that is written down, and whose files go. */
interface Step {
  /** Of what is wanted. */
  readonly expected: number
  /** That had left when it was begun. */
  readonly bytesBefore: number
  /** Of what was let go in the end: what had become held by then stays. */
  letGoBytes: number
  /** That it has brought, once it is gone. */
  left: Left
  readonly gone: Promise<unknown>
}

export class EvictionRun {
  readonly #deps: EvictionRunDeps
  readonly #options: EvictionRunOptions
  readonly #scan: EvictionScan
  readonly #chooser: Chooser
  /** As pins are when it begins. */
  readonly #spared: ReadonlySet<Digest>
  readonly #pinChanges: number | undefined
  /** Written down, while their files go. */
  readonly #underWay: Step[] = []
  /** Of which this run was told: pages that leave at once have some in common. */
  readonly #passes = new WeakSet<Left>()
  #batch: Batch = NOTHING_LEFT

  constructor(deps: EvictionRunDeps, options: EvictionRunOptions) {
    this.#deps = deps
    this.#options = options
    const { catalog, clock, isInUse, haste } = deps
    const { standings, isOwn, stages, from } = options
    this.#spared = deps.pins?.digests() ?? new Set()
    this.#pinChanges = deps.pins?.changes
    const pause = createPacer(clock, () => haste.isOn)
    this.#chooser = { catalog, standings, isInUse, isOwn, spared: this.#spared, pause }
    const judge = new Judge(deps)
    this.#scan = new EvictionScan(
      {
        catalog,
        clock,
        stages,
        judge: each => judge.of(each),
        isWanted: stage => this.#wanted(stage) > 0 && (!stage.isOver || standings.isAnyOver),
        pause,
      },
      from,
    )
  }

  get place(): ScanPlace {
    return this.#scan.place
  }

  /** What has left so far. */
  get batch(): Batch {
    return this.#batch
  }

  /**
   * `freed` is told of each page, also of one that fails. Ends when all has left that was begun.
   * @throws StoreError
   */
  async run(freed: Freed): Promise<EvictionOutcome> {
    try {
      return await this.#run(freed)
    } finally {
      while (this.#underWay.length > 0) await this.#land(freed).catch(() => {})
    }
  }

  async #run(freed: Freed): Promise<EvictionOutcome> {
    let vainPages = 0
    const land = async () => {
      vainPages = (await this.#land(freed)) ? vainPages + 1 : 0
    }
    for (;;) {
      while (this.#underWay.length > (vainPages === 0 ? REMOVED_MEANWHILE : 0)) await land()
      // A disk that removes nothing is not to lose its whole cache for that.
      if (vainPages >= VAIN_PAGES_MAX) return 'in vain'
      const page = this.#isOutdated ? undefined : await this.#scan.next()
      if (page !== undefined) await this.#letLeave(page)
      else if (this.#underWay.length === 0) return this.#outcome
      // What of it stays is still wanted.
      else await land()
    }
  }

  get #outcome(): EvictionOutcome {
    if (this.#isOutdated) return 'outdated'
    return this.#scan.isExhausted ? 'exhausted' : 'done'
  }

  /** There are other pins or quotas than it was begun with. */
  get #isOutdated(): boolean {
    const { pins, quotas } = this.#deps
    return pins?.changes !== this.#pinChanges || this.#options.standings.quotas !== quotas()
  }

  /** The first that is under way: was it in vain? @throws StoreError */
  async #land(freed: Freed): Promise<boolean> {
    const [step] = this.#underWay
    if (step === undefined) return false
    try {
      await step.gone
      return step.letGoBytes > 0 && this.#batch.bytes === step.bytesBefore
    } finally {
      this.#underWay.shift()
      freed(step.left.bytes, step.left.files)
    }
  }

  /** `chosen` is told of each step. @throws StoreError */
  async foretell(chosen: (bytes: number) => void): Promise<void> {
    const seen = new Set<string>()
    let after: Footprint | undefined
    for (let page = await this.#scan.next(); page !== undefined; page = await this.#scan.next()) {
      // What was chosen before is still here in a later stage.
      const candidates = page.candidates.filter(each => !seen.has(nameOf(each)))
      const choice = await this.#choose({ ...page, candidates }, after)
      after = choice.footprint ?? after
      for (const { candidate } of choice.leaving) seen.add(nameOf(candidate))
      this.#told(choice.leaving, page, await this.#tagsOf(choice.leaving))
      chosen(choice.leaving.reduce((sum, { bytes }) => sum + bytes, 0))
    }
  }

  /** Beside what is about to become free. */
  #wanted(stage: Stage): number {
    const wanted = this.#options.wanted(stage)
    return this.#underWay.reduce((sum, { expected }) => sum - expected, wanted)
  }

  get #measure(): Measure {
    return this.#options.measure ?? 'bytes'
  }

  /** Resolves when these are written down, so that the next may be chosen. */
  async #letLeave(page: CandidatePage): Promise<void> {
    const { leaving, isEnough } = await this.#choose(page)
    const last = leaving.at(-1)
    if (last === undefined) return
    if (isEnough) this.#scan.stopAt(last.candidate)
    // They leave as well.
    const tags = await this.#tagsOf(leaving)
    // The last moment: what has changed since it was chosen may hold it.
    if (this.#isOutdated) return
    const written = Promise.withResolvers<void>()
    const step: Step = {
      expected: sumOfEach(leaving, this.#measure),
      bytesBefore: this.#batch.bytes,
      letGoBytes: 0,
      left: sumOf([]),
      gone: this.#leave(leaving, {
        spared: this.#spared,
        written: written.resolve,
        departed: ({ left, passes }) => {
          const gone = thoseThatLeft(leaving, left)
          const stuckBytes = freedBytes(left.flatMap(({ stuck }) => stuck))
          step.letGoBytes = sumOfEach(gone, 'bytes') + stuckBytes
          step.left = this.#leftBy(passes)
          this.#add(gone, { page, tags }, step.left)
        },
      }),
    }
    this.#underWay.push(step)
    // One that fails is heard of when it lands.
    await Promise.race([written.promise, step.gone.catch(() => {})])
  }

  #leave(leaving: readonly Chosen[], how: LetGoHow<Digest | Image>): Promise<unknown> {
    // A page is of one kind.
    const images = leaving.map(whatOf).filter(each => typeof each !== 'string')
    const digests = leaving.map(whatOf).filter(each => typeof each === 'string')
    if (digests.length > 0) return this.#deps.leaving.letGo(digests, 'evicted', how)
    return this.#deps.leaving.evict(images, 'evicted', how)
  }

  #choose(page: CandidatePage, after?: Footprint): Promise<Choice> {
    const wanted = this.#wanted(page.stage)
    return choose(this.#chooser, page, { wanted, measure: this.#measure, after })
  }

  #leftBy(passes: readonly Left[]): Left {
    const others = passes.filter(pass => !this.#passes.has(pass))
    for (const each of others) this.#passes.add(each)
    return sumOf(others)
  }

  #add(
    gone: readonly Chosen[],
    { page, tags }: { page: CandidatePage; tags: TagsOf },
    { files, bytes }: Left,
  ): void {
    this.#told(gone, page, tags)
    const images = gone.flatMap(({ candidate: each }) =>
      each.kind === 'image' ? [each.image] : [],
    )
    const { batch } = this
    this.#batch = {
      images: batch.images + images.length,
      blobs: batch.blobs + files,
      bytes: batch.bytes + bytes,
      youngestUsedAtMs: Math.max(batch.youngestUsedAtMs, ...images.map(({ usedAtMs }) => usedAtMs)),
    }
  }

  /** That lead to them now, where somebody is told. */
  async #tagsOf(leaving: readonly Chosen[]): Promise<TagsOf> {
    const tags = new Map<Candidate, readonly Tag[]>()
    if (this.#options.told === undefined) return tags
    for (const { candidate } of leaving)
      if (candidate.kind === 'image')
        tags.set(candidate, await this.#deps.catalog.listTagsOf(candidate.image, TAGS_TOLD + 1))
    return tags
  }

  #told(leaving: readonly Chosen[], { stage }: CandidatePage, tags: TagsOf): void {
    const nowMs = this.#deps.clock.nowMs()
    for (const each of leaving)
      this.#options.told?.(tellOf(each, { stage, nowMs, tags: tags.get(each.candidate) ?? [] }))
  }
}
