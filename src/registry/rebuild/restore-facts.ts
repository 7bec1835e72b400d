// Facts that were written or removed for something that then did not happen are put back to what the catalog says. Best effort: it runs because
// the disk or the catalog failed. What a crash leaves instead is dealt with when a catalog is built from facts (rebuild-catalog.ts).
import type { Repository } from '../../oci/reference.ts'
import { bestEffort } from '../best-effort.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { Fact, FactIdentity, FactStore } from '../ports/facts.ts'

export interface RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly note: NoteEvent
}

/** MUST run in the repository's turn. `atMs` is now. Throws nothing that the disk or the catalog brought about. */
export async function restoreFacts(
  { catalog, facts, note }: RestoreDeps,
  repository: Repository,
  { identities, atMs }: { identities: readonly FactIdentity[]; atMs: number },
): Promise<void> {
  await bestEffort(note, async () => {
    const right = await Promise.all(
      identities.map(identity => asRecorded(catalog, repository, { identity, atMs })),
    )
    const kept = right.filter(fact => fact !== undefined)
    if (kept.length > 0) await facts.write(kept)
    const superfluous = identities.filter((_, at) => right[at] === undefined)
    if (superfluous.length > 0) await facts.remove(superfluous)
  })
}

/** What the fact with this identity has to say; undefined when there is to be none. */
async function asRecorded(
  catalog: Catalog,
  repository: Repository,
  { identity, atMs }: { identity: FactIdentity; atMs: number },
): Promise<Fact | undefined> {
  switch (identity.kind) {
    case 'manifest':
      return manifestFact(catalog, repository, identity)
    case 'tag': {
      const known = await catalog.findTag(repository, identity.tag)
      if (known?.local !== true) return undefined
      return { ...identity, digest: known.digest, atMs: known.checkedAtMs }
    }
    case 'delivery': {
      const entry = await catalog.findDelivery(identity.id)
      if (entry === undefined) return undefined
      const { id, carrier, key, payload, createdAtMs } = entry
      return { kind: 'delivery', id, carrier, key, payload, createdAtMs }
    }
    case 'deleted':
      return (await catalog.isMember(repository, identity.digest))
        ? undefined
        : { ...identity, atMs }
  }
}

async function manifestFact(
  catalog: Catalog,
  repository: Repository,
  identity: Extract<FactIdentity, { kind: 'manifest' }>,
): Promise<Fact | undefined> {
  const known = await catalog.findManifest(repository, identity.digest)
  const content = await catalog.findContent(identity.digest)
  if (known === undefined || content?.contentClass !== 'kept') return undefined
  return { ...identity, mediaType: known.mediaType, atMs: content.createdAtMs }
}
