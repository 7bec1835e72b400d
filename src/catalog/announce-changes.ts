// Whoever remembers an answer that was made from the catalog has to hear when it may be wrong
// (docs/adr/0018-hot-answers.md). So each write says whose answers it may change, and here those
// are told of: after the write is durable, and before whoever made it hears so.
import type { Digest } from '../oci/digest.ts'
import type { RepositoryKey } from '../oci/reference.ts'
import type { CatalogReads, ChangedAnswers } from '../registry/ports/catalog.ts'

/** Whose answers a write may change, and when it does not. */
export interface Change {
  /** One repository's, or those of all that know this content as theirs. */
  readonly of: { readonly repository: RepositoryKey } | { readonly holdersOf: Digest }
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

/** Makes a write, and tells of what it changes. Rejects as `write` does. */
export type Announce = (change: Change | undefined, write: () => Promise<void>) => Promise<void>

/** `catalog`: the one that is written. */
export function announcing(catalog: CatalogReads, epochs: ChangedAnswers): Announce {
  const running = new Running()
  return async (change, write) => {
    if (change === undefined) return write()
    const { isAlone, end } = running.begin(change)
    const isNothing = isAlone && change.unless?.(catalog).catch(() => false)
    try {
      await write()
    } finally {
      // A write that failed may have been made all the same.
      end()
      if (!(await isNothing)) await bump(change)
    }
  }

  /**
   * Memberships outlive the content, so they can be read after the write, and then they are those
   * of everybody who was answered before it: who loses one meanwhile bumps.
   */
  async function bump({ of }: Change): Promise<void> {
    if ('repository' in of) return epochs.bump(of.repository)
    const limit = BUMPED_MAX + 1
    const keys = await catalog.listRepositoriesOf(of.holdersOf, limit).catch(() => undefined)
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

  /** `isAlone`: no other may change the same part. `end` is to be called once. */
  begin({ of, part }: Change): { readonly isAlone: boolean; readonly end: () => void } {
    const whole = 'repository' in of ? of.repository : of.holdersOf
    const mine = part === undefined ? whole : `${whole} ${part}`
    const isAlone = !this.#counts.has(mine) && !this.#counts.has(whole)
    this.#counts.set(mine, (this.#counts.get(mine) ?? 0) + 1)
    return { isAlone, end: () => this.#end(mine) }
  }

  #end(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1
    if (left === 0) this.#counts.delete(key)
    else this.#counts.set(key, left)
  }
}
