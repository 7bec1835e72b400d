// What facts say, for tests that compare them with what clients were told.
import type { Fact, FactStore, ListedFact } from '../../../src/registry/ports/facts.ts'

/** Those that can be read. */
export async function listFacts(facts: Pick<FactStore, 'list'>): Promise<ListedFact[]> {
  const found: ListedFact[] = []
  for await (const fact of facts.list()) if (fact !== 'unreadable') found.push(fact)
  return found
}

export async function factsOf<Kind extends Fact['kind']>(
  facts: FactStore,
  kind: Kind,
): Promise<Extract<Fact, { kind: Kind }>[]> {
  const all: readonly Fact[] = await listFacts(facts)
  return all.filter(fact => isOf(fact, kind))
}

function isOf<Kind extends Fact['kind']>(
  fact: Fact,
  kind: Kind,
): fact is Extract<Fact, { kind: Kind }> {
  return fact.kind === kind
}
