// A catalog that was lost: a new one, built from what the store and the facts of an engine still
// say.
import { DENIED } from '../../../src/registry/routing/repository-policy.ts'
import { createMemoryCatalog } from '../memory/catalog.ts'
import { StoredContent } from '../../../src/registry/content/content.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import {
  rebuildCatalog,
  type RebuildReport,
} from '../../../src/registry/rebuild/rebuild-catalog.ts'
import {
  createPolicies,
  type RepositoryRule,
} from '../../../src/registry/routing/repository-policies.ts'
import type { Engine } from '../engine.ts'

export type Left = Pick<Engine, 'store' | 'facts' | 'clock'>

export interface Rebuilt {
  readonly catalog: Catalog
  readonly report: RebuildReport
  readonly events: readonly EngineEvent[]
}

/** `catalog`: one on which it was begun already. */
export async function rebuilt(
  { store, facts, clock }: Left,
  rules: readonly RepositoryRule[],
  catalog: Catalog = createMemoryCatalog(),
): Promise<Rebuilt> {
  const events: EngineEvent[] = []
  const note = (event: EngineEvent) => events.push(event)
  const content = new StoredContent({ store, catalog })
  const parts = { content, facts, clock, policies: createPolicies(rules), catalog, note }
  return { catalog, report: await rebuildCatalog(parts), events }
}

/** The same rule for every repository. */
export function everywhere(rule: Partial<RepositoryRule>): readonly RepositoryRule[] {
  const { isImmutable: _, ...denied } = DENIED
  return [{ ...denied, immutable: [], match: '**', push: 'store', deletable: true, ...rule }]
}
