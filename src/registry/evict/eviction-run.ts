// One run of the eviction: page by page, until as much is free as is wanted, or nothing more may
// leave. A run that is only thought of takes the same steps, and lets nothing go.
import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'
import type { Departed, Leaving, Left } from '../leave/leaving.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Footprint, Image } from '../ports/catalog-images.ts'
import type { Clock } from '../ports/clock.ts'
import type { Stage } from './candidate.ts'
import { choose, type Chooser, type Leaves, type Measure } from './choose.ts'
import { nameOf, TAGS_TOLD, type Told, tellOf } from './gone.ts'
import { Judge, type JudgeDeps } from './judge.ts'
import { Order, type Page, type ScanPlace } from './order.ts'
import { createPacer } from './pacer.ts'
import type { Quota } from '../space/quota.ts'
import type { QuotaStandings } from './quotas.ts'

/** Pages of which nothing became free, though it should have. */
const VAIN_STEPS_MAX = 2

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
      | 'listRepositoriesOf'
      | 'listTagsOf'
    >
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  readonly leaving: Pick<Leaving, 'letGo' | 'evict'>
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

/** `exhausted`: nothing more may leave. `in vain`: some should have, and nothing became free. */
export type Outcome = 'done' | 'exhausted' | 'in vain'

export type Freed = (bytes: number, files: number) => void

type TagsOf = ReadonlyMap<Leaves, readonly Tag[]>

/** What has left in a run. */
export interface Batch {
  readonly images: number
  /** Files of blobs and manifests. */
  readonly blobs: number
  readonly bytes: number
  /** Of the images; -Infinity when there was none. */
  readonly youngestUsedAtMs: number
}

export class EvictionRun {
  readonly #deps: EvictionRunDeps
  readonly #options: EvictionRunOptions
  readonly #order: Order
  readonly #chooser: Chooser
  /** As pins are when it begins. */
  readonly #spared: ReadonlySet<Digest>
  #batch: Batch = {
    images: 0,
    blobs: 0,
    bytes: 0,
    youngestUsedAtMs: Number.NEGATIVE_INFINITY,
  }

  constructor(deps: EvictionRunDeps, options: EvictionRunOptions) {
    this.#deps = deps
    this.#options = options
    const { catalog, clock, isInUse } = deps
    const { standings, isOwn, stages, from } = options
    this.#spared = deps.pins?.digests() ?? new Set()
    this.#chooser = { catalog, standings, isInUse, isOwn, spared: this.#spared }
    const judge = new Judge(deps)
    this.#order = new Order(
      {
        catalog,
        clock,
        stages,
        judge: each => judge.of(each),
        isWanted: stage => options.wanted(stage) > 0 && (!stage.isOver || standings.isAnyOver),
        pause: createPacer(clock),
      },
      from,
    )
  }

  get place(): ScanPlace {
    return this.#order.place
  }

  /** What has left so far. */
  get batch(): Batch {
    return this.#batch
  }

  /** `freed` is told of each step, also of one that fails. @throws StoreError */
  async run(freed: Freed): Promise<Outcome> {
    let vainSteps = 0
    for (let page = await this.#order.next(); page !== undefined; page = await this.#order.next()) {
      const { bytes, blobs } = this.#batch
      try {
        const { expectedBytes } = await this.#letLeave(page)
        const isVain = expectedBytes > 0 && this.#batch.bytes === bytes
        vainSteps = isVain ? vainSteps + 1 : 0
      } finally {
        freed(this.#batch.bytes - bytes, this.#batch.blobs - blobs)
      }
      // A disk that removes nothing is not to lose its whole cache for that.
      if (vainSteps === VAIN_STEPS_MAX) return 'in vain'
    }
    return this.#order.isExhausted ? 'exhausted' : 'done'
  }

  /** `chosen` is told of each step. @throws StoreError */
  async foretell(chosen: (bytes: number) => void): Promise<void> {
    const seen = new Set<string>()
    let after: Footprint | undefined
    for (let page = await this.#order.next(); page !== undefined; page = await this.#order.next()) {
      // What was chosen before is still here in a later stage.
      const candidates = page.candidates.filter(each => !seen.has(nameOf(each)))
      const wanted = this.#wanted(page)
      const choice = await choose(this.#chooser, { ...page, candidates }, { ...wanted, after })
      after = choice.footprint ?? after
      for (const { candidate } of choice.leaving) seen.add(nameOf(candidate))
      this.#told(choice.leaving, page, await this.#tagsOf(choice.leaving))
      chosen(choice.leaving.reduce((sum, { bytes }) => sum + bytes, 0))
    }
  }

  #wanted({ stage }: Page) {
    const { wanted, measure = 'bytes' } = this.#options
    return { wanted: wanted(stage), measure }
  }

  async #letLeave(page: Page): Promise<{ expectedBytes: number }> {
    const { leaving, isEnough } = await choose(this.#chooser, page, this.#wanted(page))
    const last = leaving.at(-1)
    if (last === undefined) return { expectedBytes: 0 }
    if (isEnough) this.#order.stopAt(last.candidate)
    // They leave as well.
    const tags = await this.#tagsOf(leaving)
    const departed = ({ letGo, ...left }: Departed<Digest | Image>) => {
      const gone = new Set(letGo)
      this.#add(
        leaving.filter(each => gone.has(whatOf(each))),
        { page, tags },
        left,
      )
    }
    // A page is of one kind.
    const images = leaving.map(whatOf).filter(each => typeof each !== 'string')
    const digests = leaving.map(whatOf).filter(each => typeof each === 'string')
    const how = { spared: this.#spared, departed }
    if (digests.length > 0) await this.#deps.leaving.letGo(digests, 'evicted', how)
    else await this.#deps.leaving.evict(images, 'evicted', how)
    return { expectedBytes: leaving.reduce((sum, { bytes }) => sum + bytes, 0) }
  }

  #add(
    gone: readonly Leaves[],
    { page, tags }: { page: Page; tags: TagsOf },
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
  async #tagsOf(leaving: readonly Leaves[]): Promise<TagsOf> {
    const tags = new Map<Leaves, readonly Tag[]>()
    if (this.#options.told === undefined) return tags
    for (const each of leaving)
      if (each.candidate.kind === 'image')
        tags.set(each, await this.#deps.catalog.listTagsOf(each.candidate.image, TAGS_TOLD + 1))
    return tags
  }

  #told(leaving: readonly Leaves[], { stage }: Page, tags: TagsOf): void {
    const nowMs = this.#deps.clock.nowMs()
    for (const each of leaving)
      this.#options.told?.(tellOf(each, { stage, nowMs, tags: tags.get(each) ?? [] }))
  }
}

/** As `Leaving` is given it. */
function whatOf({ candidate: each }: Leaves): Digest | Image {
  return each.kind === 'image' ? each.image : each.content.digest
}
