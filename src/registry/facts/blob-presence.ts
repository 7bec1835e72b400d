// Writing down that a blob was pushed or mounted, and that one was deleted or never there: the row
// in the catalog and the tombstone beside the content agree about the last of them, also after the
// catalog was lost.
import type { RemoveOptions } from '../ports/catalog-pushes.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { filterFew } from '../../async/few-at-once.ts'
import type { BlobOf } from '../content/content.ts'
import { blobKey, type NegativeCache } from '../negative-cache.ts'
import type { Clock } from '../ports/clock.ts'
import { nextOrder } from '../ports/order.ts'
import { restoreFacts, type RestoreDeps } from './restore-facts.ts'
import { Turns } from '../../async/turns.ts'

/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

export interface PresenceDeps extends RestoreDeps {
  readonly clock: Clock
  readonly negative: NegativeCache
}

export class BlobPresence {
  readonly #deps: PresenceDeps
  readonly #turns = new Turns()

  constructor(deps: PresenceDeps) {
    this.#deps = deps
  }

  /**
   * Durable when it resolves, and pending until a manifest lists it. `write` stores and records it
   * (content.ts); no effect when that finds nothing.
   * @throws StoreError
   */
  record<Stored>(
    repository: Repository,
    digest: Digest,
    write: (blob: BlobOf) => Promise<Stored | undefined>,
  ): Promise<Stored | undefined> {
    return this.#present(repository, digest, atMs =>
      write({ repository, digest, atMs, acknowledgedAtMs: atMs }),
    )
  }

  /** The same where only the upstream has the bytes, and said so. @throws StoreError */
  async recordElsewhere(repository: Repository, digest: Digest): Promise<void> {
    await this.#present(repository, digest, async atMs => {
      await this.#deps.catalog.recordMember(repository, digest, atMs)
      return digest
    })
  }

  /**
   * Durable when it resolves; false when it stays, as `how` says: by default it does not. The
   * tombstone comes first: what was told to be gone must not come back.
   * @throws StoreError
   */
  async remove(
    repository: Repository,
    digest: Digest,
    how: Pick<RemoveOptions, 'unlessLeased'> = {},
  ): Promise<boolean> {
    const { facts, catalog, clock } = this.#deps
    return this.#turns.take(turnOf(repository, digest), async () => {
      const identity = { kind: 'deleted', repository: repositoryKey(repository), digest } as const
      const atMs = clock.nowMs()
      try {
        const tombstone = { ...identity, atMs, order: nextOrder(catalog) }
        await facts.write([tombstone], { takesAway: true })
        if (await catalog.removeMember(repository, digest, how)) return true
        await restoreFacts(this.#deps, { identities: [identity], atMs })
        return false
      } catch (error) {
        // Nobody was told that it is gone.
        await restoreFacts(this.#deps, { identities: [identity], atMs })
        throw error
      }
    })
  }

  /**
   * Runs `work` with those of `digests` that are no members of the repository: until it has ended
   * none of them is recorded as pushed or mounted, so that what it writes about their absence is
   * not written after they came. MUST run in the repository's turn.
   */
  async whileAbsent(
    repository: Repository,
    digests: readonly Digest[],
    work: (absent: readonly Digest[]) => Promise<void>,
  ): Promise<void> {
    const candidates = await this.#absent(repository, digests)
    const inTurns = candidates.reduceRight(
      (next, digest) => () => this.#turns.take(turnOf(repository, digest), next),
      async () => work(await this.#absent(repository, candidates)),
    )
    await inTurns()
  }

  /**
   * A client was told that all of `digests` are here, or is about to be: a tombstone of what is
   * here could not be read when the catalog was built, and must not take it away when it can be.
   * Durable when it resolves.
   * @throws StoreError
   */
  async affirm(repository: Repository, digests: readonly Digest[]): Promise<void> {
    const { facts, catalog } = this.#deps
    const key = repositoryKey(repository)
    const deleted = await filterFew(digests, LOOKS_AT_ONCE, digest =>
      facts.has({ kind: 'deleted', repository: key, digest }),
    )
    for (const digest of deleted)
      await this.#turns.take(turnOf(repository, digest), async () => {
        const member = await catalog.findMember(repository, digest)
        if (member !== undefined) await facts.remove([{ kind: 'deleted', repository: key, digest }])
      })
  }

  /**
   * Runs `work` while nothing is recorded or removed of this content. MUST run in the repository's
   * turn.
   */
  alone<Result>(
    repository: Repository,
    digest: Digest,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return this.#turns.take(turnOf(repository, digest), work)
  }

  async #absent(repository: Repository, digests: readonly Digest[]): Promise<readonly Digest[]> {
    const { catalog } = this.#deps
    return filterFew(
      digests,
      LOOKS_AT_ONCE,
      async digest => (await catalog.findMember(repository, digest)) === undefined,
    )
  }

  async #present<Present>(
    repository: Repository,
    digest: Digest,
    record: (atMs: number) => Promise<Present | undefined>,
  ): Promise<Present | undefined> {
    const { facts, clock, negative } = this.#deps
    const present = await this.#turns.take(turnOf(repository, digest), async () => {
      const recorded = await record(clock.nowMs())
      // Not before: a crash in between must leave what was acknowledged, which is the delete.
      if (recorded !== undefined)
        await facts.remove([{ kind: 'deleted', repository: repositoryKey(repository), digest }])
      return recorded
    })
    if (present !== undefined) negative.forget(blobKey(repository, digest))
    return present
  }
}

function turnOf(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)} ${digest}`
}
