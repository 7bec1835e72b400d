// What facts have to say, by what the catalog knows: it is right while it lives. What it does not
// know is unknown-facts.ts.
import { parseRepositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import { keptManifestFact } from './kept-manifest.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Fact, FactIdentity } from '../ports/facts.ts'

/**
 * What the fact with this identity has to say; undefined when there is to be none.
 * @throws StoreError
 */
export async function factByCatalog(
  catalog: Catalog,
  { identity, atMs }: { identity: FactIdentity; atMs: number },
): Promise<Fact | undefined> {
  switch (identity.kind) {
    case 'manifest':
      return manifestFact(catalog, identity)
    case 'tag': {
      const { kind, repository, tag } = identity
      const known = await catalog.findTag(parseRepositoryKey(repository), tag)
      if (known === undefined) return undefined
      const { digest, checkedAtMs, order, local } = known
      const isImported = !local && (await isImportedTag(catalog, repository, known))
      if (!local && !isImported) return undefined
      const imported = isImported ? ({ imported: true } as const) : {}
      const fact = { kind, repository, tag, digest, atMs: checkedAtMs, ...imported }
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

/** What an upstream points elsewhere loses its order by that. */
async function isImportedTag(
  catalog: Catalog,
  repository: RepositoryKey,
  { digest, order }: RecordedTag,
): Promise<boolean> {
  if (order === undefined) return false
  return (await catalog.holdsOf(parseRepositoryKey(repository), digest)).includes('imported')
}

/**
 * When a manifest was pushed or deleted is of no consequence, and what was here of it then was so
 * whatever came after. When a tag was, its delivery is known by.
 */
export function saysTheSame(fact: Fact, right: Fact | undefined): boolean {
  if (right === undefined) return false
  switch (fact.kind) {
    case 'manifest':
      return (
        right.kind === 'manifest' &&
        right.mediaType === fact.mediaType &&
        right.imported === fact.imported
      )
    case 'tag':
      if (right.kind !== 'tag' || right.digest !== fact.digest) return false
      // An upstream that says the same of an imported one makes it no other.
      return right.imported === fact.imported && (right.imported || right.atMs === fact.atMs)
    case 'deleted':
      return right.kind === 'deleted'
    case 'delivery':
      return (
        right.kind === 'delivery' &&
        right.payload === fact.payload &&
        right.createdAtMs === fact.createdAtMs
      )
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
  const isImported = (await catalog.holdsOf(owner, digest)).includes('imported')
  return keptManifestFact(catalog, owner, { manifest, atMs: content.createdAtMs, isImported })
}
