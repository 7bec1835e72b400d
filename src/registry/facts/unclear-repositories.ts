// Repositories of which facts say more than the catalog knows, since bytes are lost or a file
// cannot be read: what a manifest lists nobody knows until its bytes are back, and what it holds
// looks like nobody's. What takes things away for good leaves these alone.
import {
  parseRepositoryKey,
  type Repository,
  type RepositoryKey,
  repositoryKey,
} from '../../oci/reference.ts'
import type { Turns } from '../../async/turns.ts'
import { parseDelivery } from '../deliveries/delivery-payload.ts'
import { KnownLoss } from './known-loss.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { Fact, FactStore } from '../ports/facts.ts'

export interface UnclearDeps {
  readonly catalog: Pick<Catalog, 'findMember' | 'findTag' | 'findDelivery'>
  readonly facts: FactStore
  readonly turns: Turns
}

/** With more nothing can be told. */
const UNCLEAR_MAX = 10_000

/** Which they are, or why that cannot be told: a fact that is unreadable may be of any. */
export type Unclear = ReadonlySet<RepositoryKey> | 'unreadable' | 'too many'

/** Or may it be? */
export function isAmong(unclear: Unclear, repository: Repository): boolean {
  return typeof unclear === 'string' || unclear.has(repositoryKey(repository))
}

/** `listed`: every fact that there is, as `facts` lists them. @throws StoreError */
export async function unclearRepositories(
  deps: UnclearDeps,
  listed: AsyncIterable<Fact | 'unreadable'>,
): Promise<Unclear> {
  const unclear = new Set<RepositoryKey>()
  let isAllRead = true
  for await (const fact of listed) {
    if (fact === 'unreadable') {
      isAllRead = false
      continue
    }
    const key = repositoryOf(fact)
    if (unclear.has(key) || (await isKnown(deps, fact))) continue
    if (await isUnclear(deps, fact)) unclear.add(key)
    if (unclear.size > UNCLEAR_MAX) return 'too many'
  }
  return isAllRead ? unclear : 'unreadable'
}

/** Lists all of them, in pieces, or until `signal` is aborted. @throws StoreError */
export async function* factsOf(
  facts: FactStore,
  signal: AbortSignal,
): AsyncGenerator<Fact | 'unreadable'> {
  const pieces = new Pieces()
  for await (const fact of facts.list()) {
    if (signal.aborted) return
    yield fact
    await pieces.done(1)
  }
}

/** The same for who asks often. */
export class KnownUnclear {
  readonly #deps: UnclearDeps
  readonly #known: KnownLoss<Unclear>

  constructor(deps: UnclearDeps & { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#deps = deps
    const isClear = (unclear: Unclear) => typeof unclear !== 'string' && unclear.size === 0
    this.#known = new KnownLoss({ clock: deps.clock, isClear })
  }

  /** MUST NOT run in the turn of a repository. Undefined once aborted. @throws StoreError */
  find(signal: AbortSignal): Promise<Unclear | undefined> {
    return this.#known.find(async () => {
      const unclear = await unclearRepositories(this.#deps, factsOf(this.#deps.facts, signal))
      return signal.aborted ? undefined : unclear
    })
  }
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
      // An upstream may have moved an imported one since.
      return fact.imported ? known !== undefined : known?.digest === fact.digest
    }
    case 'delivery': {
      const isThere = (await catalog.findDelivery(fact.id)) !== undefined
      return isThere && parseDelivery(fact.payload) !== undefined
    }
    case 'deleted':
      return true
  }
}
