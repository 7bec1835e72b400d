// What facts say, for tests that compare them with what clients were told.
import type { Fact, FactStore } from '../../../src/registry/ports/facts.ts'

export async function factsOf<Kind extends Fact['kind']>(
  facts: FactStore,
  kind: Kind,
): Promise<Extract<Fact, { kind: Kind }>[]> {
  const found: Extract<Fact, { kind: Kind }>[] = []
  for await (const fact of facts.list()) if (isOf(fact, kind)) found.push(fact)
  return found
}

function isOf<Kind extends Fact['kind']>(
  fact: Fact,
  kind: Kind,
): fact is Extract<Fact, { kind: Kind }> {
  return fact.kind === kind
}
