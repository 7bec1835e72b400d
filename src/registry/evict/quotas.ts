// How much of the room an upstream, or repositories that a pattern matches, may have, and how much
// is left to them when others need room. A quota refuses nothing: what is above a ceiling leaves
// first, and what would go below a floor is passed over. Each repository counts what is a member of
// it, whatever others have of the same.
import { parseRepositoryKey, type RegistryHost, type Repository } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { RepositoryBytes } from '../ports/catalog-images.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import { amountOf } from '../space/limits.ts'
import type { Quota } from '../routing/quota.ts'
import { eachRepository } from '../space/repository-bytes.ts'

/**
 * As they are configured at one time. Each is one value, which stands for all that count in it;
 * after a reload that says anything else of them there are others.
 */
export interface Quotas {
  list(): readonly Quota[]
  /** Those that a repository counts in. MUST NOT do input or output. */
  of(repository: Repository): readonly Quota[]
}

export const NO_QUOTAS: Quotas = { list: () => [], of: () => [] }

/** Those of upstreams, and that of the rule that holds for a repository. */
export function createQuotas(configured: {
  readonly ofUpstreams: ReadonlyMap<RegistryHost, Quota>
  readonly ofRules: readonly Quota[]
  readonly policies: RepositoryPolicies
}): Quotas {
  const { ofUpstreams, ofRules, policies } = configured
  const all = [...ofUpstreams.values(), ...ofRules]
  return {
    list: () => all,
    of: repository =>
      [ofUpstreams.get(repository.registry), policies.find(repository).quota].filter(
        quota => quota !== undefined,
      ),
  }
}

interface Standing {
  bytes: number
  readonly ceilingBytes: number
  readonly floorBytes: number
}

/** How they stand in one run: what has left of it, counts. */
export class QuotaStandings {
  /** Of which they are. */
  readonly quotas: Quotas
  readonly #standings: ReadonlyMap<Quota, Standing>

  private constructor(quotas: Quotas, standings: ReadonlyMap<Quota, Standing>) {
    this.quotas = quotas
    this.#standings = standings
  }

  /** `maxBytes`: what shares are of. @throws StoreError */
  static async look(
    quotas: Quotas,
    { catalog, maxBytes }: { catalog: Pick<Catalog, 'listRepositoryBytes'>; maxBytes: number },
  ): Promise<QuotaStandings> {
    const standings = new Map(
      quotas.list().map(quota => [quota, standingOf(quota, maxBytes)] as const),
    )
    if (standings.size === 0) return new QuotaStandings(quotas, standings)
    for await (const { repository, bytes } of eachRepository(catalog))
      for (const quota of quotas.of(parseRepositoryKey(repository))) {
        const standing = standings.get(quota)
        if (standing !== undefined) standing.bytes += bytes
      }
    return new QuotaStandings(quotas, standings)
  }

  get areAny(): boolean {
    return this.#standings.size > 0
  }

  get isAnyOver(): boolean {
    return [...this.#standings.values()].some(isOver)
  }

  isOver(repository: Repository): boolean {
    return this.#of(repository).some(isOver)
  }

  /**
   * Would less be left than a floor says, if so much left? `isOwn`: does somebody of the same quota
   * need the room?
   */
  isWithinFloor(lost: readonly RepositoryBytes[], isOwn: (quota: Quota) => boolean): boolean {
    const sums = new Map<Quota, number>()
    for (const { repository, bytes } of lost)
      for (const quota of this.quotas.of(parseRepositoryKey(repository)))
        sums.set(quota, (sums.get(quota) ?? 0) + bytes)
    return [...sums].some(([quota, bytes]) => {
      const standing = this.#standings.get(quota)
      return standing !== undefined && standing.bytes - bytes < standing.floorBytes && !isOwn(quota)
    })
  }

  /** So much leaves, of what counts. */
  take(lost: readonly RepositoryBytes[]): void {
    if (!this.areAny) return
    for (const { repository, bytes } of lost)
      for (const each of this.#of(parseRepositoryKey(repository))) each.bytes -= bytes
  }

  #of(repository: Repository): readonly Standing[] {
    return this.quotas.of(repository).flatMap(quota => this.#standings.get(quota) ?? [])
  }
}

function standingOf({ ceiling, floor }: Quota, maxBytes: number): Standing {
  return {
    bytes: 0,
    ceilingBytes: ceiling === undefined ? Number.POSITIVE_INFINITY : amountOf(ceiling, maxBytes),
    floorBytes: floor === undefined ? Number.NEGATIVE_INFINITY : amountOf(floor, maxBytes),
  }
}

function isOver({ bytes, ceilingBytes }: Standing): boolean {
  return bytes > ceilingBytes
}
