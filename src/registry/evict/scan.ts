// In which order content is looked at to leave: in each stage first what is loose, the longest
// unused first, then images, the coldest first; a page at a time. What was passed over is not
// looked at again by runs that begin moments later: there may be very much of it.
import type { Catalog } from '../ports/catalog.ts'
import type { ColdPlace } from '../ports/catalog-images.ts'
import type { LooseContent } from '../ports/catalog-space.ts'
import type { Clock } from '../ports/clock.ts'
import type { Candidate, Stage, Evictability } from './candidate.ts'

/** Leaves in one commit: some milliseconds of the thread that writes the catalog. */
const LOOSE_PAGE = 256
/** In some commits: files of the first go while the next is written. */
const IMAGE_PAGE = 32
/**
 * What becomes colder than what was passed over waits for so long, once something was found that
 * may leave. Before that nothing begins anew: a look that comes by very much would never end.
 */
const RESUMED_FOR_MS = 10_000

/** Where a scan stands. */
export interface ScanPlace {
  readonly stage: number
  /** Undefined: still among what is loose. */
  readonly images?: { readonly after?: ColdPlace }
  readonly looseAfter?: LooseContent
  /** Something was found that may leave. */
  readonly hasFound: boolean
  /** When that was; until then, when a page was looked at last. */
  readonly sinceMs: number
}

export interface ScanDeps {
  readonly catalog: Pick<Catalog, 'listLoose' | 'listColdest'>
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly stages: readonly Stage[]
  readonly judge: (candidate: Candidate, stage: Stage) => Promise<Evictability>
  /** Is there anything for this stage? Asked before each page. */
  readonly isWanted: (stage: Stage) => boolean
  /** Lets others run, where it is time. Awaited after each page. */
  readonly pause: () => Promise<void>
}

/** Candidates of one kind, which may leave in this stage. */
export interface CandidatePage {
  readonly stage: Stage
  readonly candidates: readonly Candidate[]
}

export class EvictionScan {
  readonly #deps: ScanDeps
  #place: ScanPlace
  /** What was passed over before it began is to be looked at once more in the end. */
  #isResumed: boolean
  #isExhausted = false

  /** `from`: where the run before stood. */
  constructor(deps: ScanDeps, from?: ScanPlace) {
    this.#deps = deps
    const nowMs = deps.clock.monotonicMs()
    this.#isResumed = from !== undefined && nowMs - from.sinceMs < RESUMED_FOR_MS
    this.#place = from !== undefined && this.#isResumed ? from : beginning(nowMs)
  }

  /** For the next run to go on from. */
  get place(): ScanPlace {
    return this.#place
  }

  /** All was looked at, in every stage. */
  get isExhausted(): boolean {
    return this.#isExhausted
  }

  /** Undefined when there is nothing any more, or nothing is wanted. @throws StoreError */
  async next(): Promise<CandidatePage | undefined> {
    const { stages, judge, isWanted, pause } = this.#deps
    for (;;) {
      const stage = stages[this.#place.stage]
      if (stage === undefined) {
        if (!this.#isResumed) {
          this.#isExhausted = true
          return undefined
        }
        this.#isResumed = false
        this.#place = beginning(this.#deps.clock.monotonicMs())
        continue
      }
      if (!isWanted(stage)) {
        if (!stages.some(isWanted)) return undefined
        this.#goOn()
        continue
      }
      const candidates: Candidate[] = []
      for (const each of await this.#page(stage)) {
        if (stage.takes.includes(await judge(each, stage))) candidates.push(each)
        await pause()
      }
      await pause()
      this.#noteLooked(candidates.length > 0)
      if (candidates.length > 0) return { stage, candidates }
    }
  }

  /** The rest of the page was not wanted: whoever goes on begins behind this one. */
  stopAt(last: Candidate): void {
    this.#place =
      last.kind === 'loose'
        ? { ...this.#place, looseAfter: last.content }
        : { ...this.#place, images: { after: last.image } }
  }

  #noteLooked(hasFound: boolean): void {
    if (this.#place.hasFound) return
    this.#place = { ...this.#place, hasFound, sinceMs: this.#deps.clock.monotonicMs() }
  }

  #goOn(): void {
    const { stage, hasFound, sinceMs } = this.#place
    this.#place = { stage: stage + 1, hasFound, sinceMs }
  }

  /**
   * Empty at the end of the stage, which the place is behind then; and where none may leave of what
   * was looked at.
   */
  async #page(stage: Stage): Promise<readonly Candidate[]> {
    const { catalog } = this.#deps
    // What is loose is in nobody's quota by itself.
    const { images = stage.isOver ? {} : undefined, looseAfter } = this.#place
    if (images === undefined) {
      const after = looseAfter === undefined ? {} : { after: looseAfter }
      const page = await catalog.listLoose({ limit: LOOSE_PAGE, ...after })
      const last = page.at(-1)
      const next = last === undefined ? { images: {} } : { looseAfter: last }
      this.#place = { ...this.#place, ...next }
      return page.map(content => ({ kind: 'loose', content }))
    }
    const { images: page, next } = await catalog.listColdest({ limit: IMAGE_PAGE, ...images })
    const after = next ?? page.at(-1)
    if (after === undefined) this.#goOn()
    else this.#place = { ...this.#place, images: { after } }
    return page.map(image => ({ kind: 'image', image }))
  }
}

function beginning(nowMs: number): ScanPlace {
  return { stage: 0, hasFound: false, sinceMs: nowMs }
}
