// Whoever remembers an answer that was made from the catalog has to hear when it may be wrong
// (docs/adr/0018-hot-answers.md). So each write says whose answers it may change, and here those
// are told of: after the write is durable, and before whoever made it hears so.
import type { Digest } from '../oci/digest.ts'
import type { RepositoryKey } from '../oci/reference.ts'
import type { CatalogReads, ChangedAnswers } from '../registry/ports/catalog.ts'

/** Whose answers a write may change, and when it does not. */
export type Change = ChangeOfSome | ChangeOfAny

/** Everybody's, if the catalog has forgotten anything by it. */
interface ChangeOfAny {
  readonly of: 'whatever is forgotten'
}

interface ChangeOfSome {
  /**
   * One repository's; those of all that know this content as theirs; or those of all that know
   * something as theirs that was let go at this time, and of the one that an image left.
   */
  readonly of:
    | { readonly repository: RepositoryKey }
    | { readonly holdersOf: Digest }
    | { readonly leftAtMs: number; readonly from?: RepositoryKey }
  /**
   * The only part of it that the write is about. Undefined: it may be any, and then `unless` tells
   * nothing to others that are under way.
   */
  readonly part?: string
  /**
   * It changes no answer if this is so before it is made. Asked when the write is begun, and not
   * awaited before: no other write must get in between.
   */
  readonly unless?: (catalog: CatalogReads) => Promise<boolean>
}

/**
 * Bumped one by one: as many hashes of a key take tens of microseconds. What more repositories hold
 * is rare, and bumps all of them.
 */
const BUMPED_MAX = 100

/** Makes a write, and tells of what it changes. Resolves and rejects as `write` does. */
export type Announce = <Result>(
  change: Change | undefined,
  write: () => Promise<Result>,
) => Promise<Result>

/** `catalog`: the one that is written. */
export function announcing(catalog: CatalogReads, epochs: ChangedAnswers): Announce {
  const running = new Running()
  return async (change, write) => {
    if (change === undefined) return write()
    if (change.of === 'whatever is forgotten') return forget(write)
    const { isAlone, end } = running.begin(change)
    const isNothing = isAlone && change.unless?.(catalog).catch(() => false)
    try {
      return await write()
    } finally {
      // A write that failed may have been made all the same.
      end()
      if (!(await isNothing)) await bump(change)
    }
  }

  /** Rare, and about names that nobody asked for in a long time: nobody counts whose they were. */
  async function forget<Result>(write: () => Promise<Result>): Promise<Result> {
    const before = catalog.tidied().catch(() => undefined)
    const end = running.beginOfAny()
    try {
      return await write()
    } finally {
      end()
      const after = await catalog.tidied().catch(() => undefined)
      if (after === undefined || after.forgotten !== (await before)?.forgotten) epochs.bumpAll()
    }
  }

  /**
   * Memberships outlive the content, so they can be read after the write, and then they are those
   * of everybody who was answered before it: who loses one meanwhile bumps.
   */
  async function bump({ of }: ChangeOfSome): Promise<void> {
    if ('repository' in of) return epochs.bump(of.repository)
    if ('leftAtMs' in of && of.from !== undefined) epochs.bump(of.from)
    const limit = BUMPED_MAX + 1
    const listed =
      'leftAtMs' in of
        ? catalog.listRepositoriesLeft(of.leftAtMs, limit)
        : catalog.listRepositoriesOf(of.holdersOf, limit)
    const keys = await listed.catch(() => undefined)
    if (keys === undefined || keys.length > BUMPED_MAX) epochs.bumpAll()
    else for (const key of keys) epochs.bump(key)
  }
}

/**
 * Writes under way, by what they change: what is read meanwhile says nothing of what they will
 * leave.
 */
class Running {
  readonly #counts = new Map<string, number>()
  /** Of whatever content: nobody knows before which. */
  #ofAny = 0

  /** `isAlone`: no other may change the same part. `end` is to be called once. */
  begin({ of, part }: ChangeOfSome): { readonly isAlone: boolean; readonly end: () => void } {
    if ('leftAtMs' in of) return { isAlone: false, end: this.beginOfAny() }
    const whole = 'repository' in of ? of.repository : of.holdersOf
    const mine = part === undefined ? whole : `${whole} ${part}`
    const isAlone = this.#ofAny === 0 && !this.#counts.has(mine) && !this.#counts.has(whole)
    this.#counts.set(mine, (this.#counts.get(mine) ?? 0) + 1)
    return { isAlone, end: () => this.#end(mine) }
  }

  /** None that begins meanwhile is alone. The result is to be called once. */
  beginOfAny(): () => void {
    this.#ofAny += 1
    return () => void (this.#ofAny -= 1)
  }

  #end(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1
    if (left === 0) this.#counts.delete(key)
    else this.#counts.set(key, left)
  }
}
