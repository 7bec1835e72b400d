// Repositories of which facts say more than the catalog knows, since bytes are lost or a file
// cannot be read: what a manifest lists nobody knows until its bytes are back, and what it holds
// looks like nobody's. What takes things away for good leaves these alone.
import { parseRepositoryKey, type RepositoryKey } from '../oci/reference.ts'
import type { Turns } from '../async/turns.ts'
import { parseDelivery } from './delivery-payload.ts'
import type { Catalog } from './ports/catalog.ts'
import type { Fact, FactStore } from './ports/facts.ts'

export interface UnclearDeps {
  readonly catalog: Pick<Catalog, 'findMember' | 'findTag' | 'findDelivery'>
  readonly facts: FactStore
  readonly turns: Turns
}

/** With more nothing can be told. */
const UNCLEAR_MAX = 10_000

/** Which they are, or why that cannot be told: a fact that is unreadable may be of any. */
export type Unclear = ReadonlySet<RepositoryKey> | 'unreadable' | 'too many'

/** `all`: every fact that there is, as `facts` lists them. @throws StoreError */
export async function unclearRepositories(
  deps: UnclearDeps,
  all: AsyncIterable<Fact>,
): Promise<Unclear> {
  const { facts } = deps
  const unclear = new Set<RepositoryKey>()
  const unreadable = facts.unreadable
  for await (const fact of all) {
    const key = repositoryOf(fact)
    if (unclear.has(key) || (await isKnown(deps, fact))) continue
    if (await isUnclear(deps, fact)) unclear.add(key)
    if (unclear.size > UNCLEAR_MAX) return 'too many'
  }
  return facts.unreadable === unreadable ? unclear : 'unreadable'
}

/** In its turn: whoever is pushing has told the facts, and will tell the catalog. */
async function isUnclear(deps: UnclearDeps, listed: Fact): Promise<boolean> {
  return deps.turns.take(repositoryOf(listed), async () => {
    const fact = await deps.facts.find(listed)
    return fact !== undefined && (fact === 'unreadable' || !(await isKnown(deps, fact)))
  })
}

function repositoryOf(fact: Fact): RepositoryKey {
  return fact.kind === 'delivery' ? (fact.key as RepositoryKey) : fact.repository
}

async function isKnown({ catalog }: UnclearDeps, fact: Fact): Promise<boolean> {
  switch (fact.kind) {
    case 'manifest': {
      const repository = parseRepositoryKey(fact.repository)
      return (await catalog.findMember(repository, fact.digest))?.mediaType !== undefined
    }
    case 'tag': {
      const known = await catalog.findTag(parseRepositoryKey(fact.repository), fact.tag)
      return known?.digest === fact.digest
    }
    case 'delivery': {
      const isThere = (await catalog.findDelivery(fact.id)) !== undefined
      return isThere && parseDelivery(fact.payload) !== undefined
    }
    case 'deleted':
      return true
  }
}
