// Facts that the catalog does not know, and that a client was told: their bytes were gone, or they
// could not be read, when it was built. Nothing else tells of what they say, so whoever changes one
// does it when the catalog knows what comes in its place, and puts it back where that fails.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { FactIdentity, FactStore, ListedFact } from '../ports/facts.ts'
import { factByCatalog } from './recorded-facts.ts'
import type { Stock } from './stock.ts'

export interface UnknownDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  /** Absent: facts may say more than the catalog. */
  readonly stock?: Stock | undefined
}

type Found = ListedFact | 'unreadable'

/** What was told under this catalog it knows, or was cut off. */
function mayBeUnknown(fact: Found | undefined): fact is Found {
  return fact === 'unreadable' || fact?.isEarlier === true
}

/** As they lie there; and the tombstones of such manifests, undefined where there is none. */
export class UnknownFacts {
  readonly #found = new Map<string, Found | undefined>()

  /** Those of `identities`, before anything changes. @throws StoreError */
  static async of(
    { catalog, facts, stock }: UnknownDeps,
    identities: readonly FactIdentity[],
  ): Promise<UnknownFacts> {
    const unknown = new UnknownFacts()
    if (stock?.isAllFound === true) return unknown
    for (const identity of identities) {
      const named = identity.kind === 'deleted' ? manifestOf(identity) : identity
      const fact = await facts.find(named)
      if (!mayBeUnknown(fact)) continue
      if ((await factByCatalog(catalog, { identity: named, atMs: 0 })) !== undefined) continue
      const found = named === identity ? fact : await facts.find(identity)
      unknown.#found.set(textOf(identity), found)
    }
    return unknown
  }

  get isEmpty(): boolean {
    return this.#found.size === 0
  }

  has(identity: FactIdentity): boolean {
    return this.#found.has(textOf(identity))
  }

  find(identity: FactIdentity): Found | undefined {
    return this.#found.get(textOf(identity))
  }
}

/**
 * Where a tag leads by a push that the catalog does not know, of a tag that is not local there.
 * @throws StoreError
 */
export async function findUnknownTag(
  facts: Pick<FactStore, 'find'>,
  repository: Repository,
  tag: Tag,
): Promise<Digest | 'unreadable' | undefined> {
  const fact = await facts.find({ kind: 'tag', repository: repositoryKey(repository), tag })
  if (!mayBeUnknown(fact) || fact === 'unreadable') return fact
  return fact.kind === 'tag' ? fact.digest : undefined
}

function manifestOf({ repository, digest }: Extract<FactIdentity, { kind: 'deleted' }>) {
  return { kind: 'manifest', repository, digest } as const
}

function textOf(identity: FactIdentity): string {
  const { kind } = identity
  if (kind === 'delivery') return `${kind} ${identity.id}`
  return `${kind} ${identity.repository} ${kind === 'tag' ? identity.tag : identity.digest}`
}
