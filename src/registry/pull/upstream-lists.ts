// Lists that an upstream answers with, kept as text for a moment: fresh from the catalog, else
// asked for once for all who wait, else stale with a warning when the upstream fails (R70, R78). An
// empty list is never made from a failure.
import { boundedCache } from '../../async/bounded-cache.ts'
import { type Repository, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import type { Source } from '../answers.ts'
import { bestEffort } from '../best-effort.ts'
import { Flights } from '../../async/flights.ts'
import { isServableStale } from './freshness.ts'
import { isQuestionOf, type NegativeCache } from '../negative-cache.ts'
import type { RecordedList } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type ReadOptions, UpstreamError } from '../ports/upstream.ts'
import { mayServeStale } from '../refusals/upstream-failure.ts'

export interface ListSource {
  readonly repository: Repository
  /** Names the list within its repository. */
  readonly key: string
  readonly ttlMs: number
  readonly maxStaleMs: number
  /**
   * Asks the upstream, which is tried less where an older list can be given instead; the text that
   * is kept.
   */
  readonly ask: (options: ReadOptions) => Promise<string>
}

type ListName = Pick<ListSource, 'repository' | 'key'>

export interface KeptList {
  readonly body: string
  readonly source: Source
  readonly warnings: readonly string[]
}

export interface UpstreamListsDeps {
  readonly catalog: Catalog
  readonly clock: Clock
  readonly note: NoteEvent
  readonly negative: NegativeCache
}

/**
 * What a list without anything is kept as. There are as many of these as anybody makes questions
 * up, so they get no row.
 */
const EMPTY = '[]'
/** Empty lists that are remembered, in memory. */
const EMPTY_MAX = 10_000

export class UpstreamLists {
  readonly #deps: UpstreamListsDeps
  readonly #empty = boundedCache<RecordedList>(EMPTY_MAX)
  readonly #flights = new Flights<string>()

  constructor(deps: UpstreamListsDeps) {
    this.#deps = deps
  }

  /** @throws UpstreamError when the upstream said no, or failed and nothing servable is kept */
  async get(source: ListSource): Promise<KeptList> {
    const { clock, note } = this.#deps
    const kept = await this.#find(source)
    const ageMs = kept === undefined ? Number.POSITIVE_INFINITY : clock.nowMs() - kept.checkedAtMs
    if (kept !== undefined && ageMs >= 0 && ageMs < source.ttlMs) {
      return { body: kept.body, source: 'hit', warnings: [] }
    }
    const flight = flightOf(source.repository, source.key)
    const servable =
      kept !== undefined && isServableStale(kept.checkedAtMs, source.maxStaleMs, clock.nowMs())
    const { promise, joined } = this.#flights.run(flight, () =>
      this.#ask(source, flight, { retries: servable ? 'if responded' : 'always' }),
    )
    try {
      return { body: await promise, source: joined ? 'joined' : 'miss', warnings: [] }
    } catch (error) {
      if (kept === undefined || !mayServeStale(error)) throw error
      if (!isServableStale(kept.checkedAtMs, source.maxStaleMs, clock.nowMs())) throw error
      const failure = error instanceof UpstreamError ? error.failure : 'failed'
      const reason = error instanceof UpstreamError ? error.message : 'failed'
      note({
        kind: 'served stale',
        repository: source.repository,
        ageMs: Math.max(0, ageMs),
        reason,
      })
      const warning = `stale: ${source.repository.registry} failed (${failure}); list is ${Math.max(0, Math.round(ageMs / 60_000))} min old`
      return { body: kept.body, source: 'stale', warnings: [warning] }
    }
  }

  async #ask(source: ListSource, key: string, options: ReadOptions): Promise<string> {
    const { clock, negative } = this.#deps
    return negative.ask(key, options.endpoints, async question => {
      const body = await source.ask(options)
      const list = { body, checkedAtMs: clock.nowMs() }
      if (question.isCurrent) await this.#record(source, list)
      return body
    })
  }

  async #find({ repository, key }: ListName): Promise<RecordedList | undefined> {
    const kept = await this.#deps.catalog.findList(repository, key)
    return kept ?? this.#empty.get(flightOf(repository, key))
  }

  /** An empty list takes the place of one that was not, and is else remembered only. */
  async #record({ repository, key }: ListName, list: RecordedList): Promise<void> {
    const { catalog, note } = this.#deps
    const name = flightOf(repository, key)
    if (list.body === EMPTY && (await catalog.findList(repository, key)) === undefined) {
      this.#empty.set(name, list)
      return
    }
    this.#empty.delete(name)
    await bestEffort(note, () => catalog.recordList(repository, key, list))
  }

  /**
   * Nobody joins what is asked now about lists of these repositories, and those that were empty are
   * not remembered. What the catalog has of them is for `take`.
   */
  forget(isMeant: (key: RepositoryKey) => boolean): void {
    const about = isQuestionOf(isMeant)
    this.#flights.closeAll(about)
    const known = [...this.#empty.keys()].filter(about)
    for (const flight of known) this.#empty.delete(flight)
  }

  /** It is gone: nobody is given it, were the upstream away for good. @throws StoreError */
  async take({ repository, key }: ListName): Promise<void> {
    this.#empty.delete(flightOf(repository, key))
    await this.#deps.catalog.forgetList(repository, key)
  }

  /**
   * A push changed what the upstream's list says: `edit` makes the same change to the one that is
   * kept, and what is under way neither replaces it nor is given to who asks from now on. Not twice
   * at a time for one list.
   */
  async change(of: ListName, edit: (body: string) => string): Promise<void> {
    const flight = flightOf(of.repository, of.key)
    this.#flights.close(flight)
    this.#deps.negative.forget(flight)
    const kept = await this.#find(of)
    if (kept !== undefined) await this.#record(of, { ...kept, body: edit(kept.body) })
  }
}

/**
 * "list" and a space: no tag is called like this, and what is remembered of tags must not speak for
 * lists.
 */
function flightOf(repository: Repository, key: string): string {
  return `${repositoryKey(repository)} list ${key}`
}
