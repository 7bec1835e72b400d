// Tombstones that nobody needs any more go, so that there is not a file for each delete for good:
// those of deletes of a month ago, where no manifest of the repository lists what was deleted, and
// no other fact could bring it back to a catalog that is built from them. When it runs is for
// upkeep/.
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import type { Turns } from '../../async/turns.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { Fact, FactStore } from '../ports/facts.ts'
import { unclearRepositories } from '../facts/unclear-repositories.ts'
import { type DayMarksDeps, markDay } from './day-marks.ts'

/** Another edge, or a backup that is brought back, may have from before what was deleted since. */
export const REMEMBERED_DAYS = 30
/** Each is an unlink and a sync of the directory; the next pass goes on. */
export const FORGOTTEN_AT_ONCE = 1_000
/** Some milliseconds of work; then whoever pulls has the thread for about as long. */
const AT_ONCE = 64
const PAUSE_MS = 5

export interface ForgetDeletesDeps extends DayMarksDeps {
  readonly catalog: DayMarksDeps['catalog'] &
    Pick<Catalog, 'identity' | 'findMember' | 'isListed' | 'findTag' | 'findDelivery'>
  readonly facts: FactStore
  readonly clock: Clock
  readonly turns: Turns
  readonly presence: BlobPresence
}

type Deleted = Extract<Fact, { kind: 'deleted' }>

export class OldDeletes {
  readonly #deps: ForgetDeletesDeps
  /** Up to which number all have been looked at. */
  #doneBefore: number | undefined

  constructor(deps: ForgetDeletesDeps) {
    this.#deps = deps
  }

  /**
   * Once for each day, and FORGOTTEN_AT_ONCE of them at most; the call after that goes on. Resolves
   * soon once `signal` is aborted. Afterwards a catalog that is built from the facts is as it would
   * have been.
   * @throws StoreError
   */
  async forget(signal: AbortSignal): Promise<void> {
    const before = await markDay(this.#deps, REMEMBERED_DAYS)
    if (before === undefined || before === this.#doneBefore) return
    const unclear = await unclearRepositories(this.#deps, this.#facts(signal))
    if (typeof unclear === 'string' || signal.aborted || this.#deps.facts.failures > 0) return
    let forgotten = 0
    for await (const fact of this.#facts(signal)) {
      if (fact === 'unreadable' || fact.kind !== 'deleted') continue
      if (unclear.has(fact.repository)) continue
      if (await this.#forgetOne(fact, before)) forgotten += 1
      if (forgotten === FORGOTTEN_AT_ONCE) return
    }
    if (!signal.aborted) this.#doneBefore = before
  }

  /** Whoever pushes what lists it is waited for, and has written the tombstone anew. */
  async #forgetOne(found: Deleted, before: number): Promise<boolean> {
    if (!this.#isOld(found, before)) return false
    const { facts, turns, presence } = this.#deps
    const { kind, repository: key, digest } = found
    const repository = parseRepositoryKey(key)
    const identity = { kind, repository: key, digest } as const
    if (await this.#isNeeded(key, digest)) return false
    return turns.take(key, () =>
      presence.alone(repository, digest, async () => {
        const fact = await facts.find(identity)
        if (fact === undefined || fact === 'unreadable' || fact.kind !== 'deleted') return false
        if (!this.#isOld(fact, before) || (await this.#isNeeded(key, digest))) return false
        await facts.remove([identity])
        return true
      }),
    )
  }

  /** What is a member was pushed again: comparing the facts with the catalog will tell. */
  async #isNeeded(key: RepositoryKey, digest: Digest): Promise<boolean> {
    const { catalog } = this.#deps
    const repository = parseRepositoryKey(key)
    if ((await catalog.findMember(repository, digest)) !== undefined) return true
    return catalog.isListed(repository, digest)
  }

  /** What has no order nobody deleted, or an earlier version did. */
  #isOld({ order }: Deleted, before: number): boolean {
    const { identity } = this.#deps.catalog
    return order === undefined || order.edge !== identity || order.number < before
  }

  /** Beside the traffic; no more of them once `signal` is aborted. */
  async *#facts(signal: AbortSignal): AsyncGenerator<Fact | 'unreadable'> {
    const { facts, clock } = this.#deps
    let steps = 0
    for await (const fact of facts.list()) {
      if (signal.aborted) return
      yield fact
      if (++steps % AT_ONCE === 0) await clock.sleep(PAUSE_MS, signal).catch(() => {})
    }
  }
}
