// Facts that were written or removed for something that then did not happen are put back to what
// the catalog says, which is right while it lives. Here by whoever failed; what a process that
// ended could not put back is found by compare-facts.ts.
import { parseRepositoryKey } from '../oci/reference.ts'
import { bestEffort } from './best-effort.ts'
import type { Catalog } from './ports/catalog.ts'
import type { NoteEvent } from './ports/events.ts'
import { keptManifestFact } from './kept-manifest.ts'
import type { Fact, FactIdentity, FactStore } from './ports/facts.ts'

export interface RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly note: NoteEvent
}

/** `atMs` is now: when what is not there was last known not to be. */
export interface Restore {
  readonly identities: readonly FactIdentity[]
  readonly atMs: number
}

/**
 * MUST run in the repository's turn. Throws nothing that the disk or the catalog brought about,
 * which are what failed.
 */
export async function restoreFacts(deps: RestoreDeps, restore: Restore): Promise<void> {
  await bestEffort(deps.note, () => putBack(deps, restore))
}

/** The same, telling. What is missing is there before anything goes. @throws StoreError */
export async function putBack(
  { catalog, facts }: Pick<RestoreDeps, 'catalog' | 'facts'>,
  { identities, atMs }: Restore,
): Promise<void> {
  const right = await Promise.all(
    identities.map(identity => asRecorded(catalog, { identity, atMs })),
  )
  const kept = right.filter(fact => fact !== undefined)
  const ordered = await Promise.all(kept.map(fact => withOrder(facts, fact)))
  if (ordered.length > 0) await facts.write(ordered)
  const superfluous = identities.filter((_, at) => right[at] === undefined)
  if (superfluous.length > 0) await facts.remove(superfluous)
}

/** Of a delete its fact alone says the order. */
async function withOrder(facts: FactStore, fact: Fact): Promise<Fact> {
  if (fact.kind !== 'deleted') return fact
  const before = await facts.find(fact)
  if (before === undefined || before === 'unreadable' || before.kind !== 'deleted') return fact
  return before.order === undefined ? fact : { ...fact, order: before.order }
}

/**
 * What the fact with this identity has to say; undefined when there is to be none.
 * @throws StoreError
 */
export async function asRecorded(
  catalog: Catalog,
  { identity, atMs }: { identity: FactIdentity; atMs: number },
): Promise<Fact | undefined> {
  switch (identity.kind) {
    case 'manifest':
      return manifestFact(catalog, identity)
    case 'tag': {
      const { kind, repository, tag } = identity
      const known = await catalog.findTag(parseRepositoryKey(repository), tag)
      if (known?.local !== true) return undefined
      const { digest, checkedAtMs, order } = known
      const fact = { kind, repository, tag, digest, atMs: checkedAtMs }
      return order === undefined ? fact : { ...fact, order }
    }
    case 'delivery': {
      const entry = await catalog.findDelivery(identity.id)
      if (entry === undefined) return undefined
      const { id, carrier, key, payload, createdAtMs } = entry
      return { kind: 'delivery', id, carrier, key, payload, createdAtMs }
    }
    case 'deleted': {
      const { kind, repository, digest } = identity
      const member = await catalog.findMember(parseRepositoryKey(repository), digest)
      return member === undefined ? { kind, repository, digest, atMs } : undefined
    }
  }
}

async function manifestFact(
  catalog: Catalog,
  { repository, digest }: Extract<FactIdentity, { kind: 'manifest' }>,
): Promise<Fact | undefined> {
  const content = await catalog.findContent(digest)
  if (content?.contentClass !== 'kept') return undefined
  const owner = parseRepositoryKey(repository)
  const manifest = await catalog.findManifest(owner, digest)
  if (manifest === undefined) return undefined
  return keptManifestFact(catalog, owner, { manifest, atMs: content.createdAtMs })
}
