// What the fact of a kept manifest says of what the manifest lists: whoever builds a catalog from
// it has the bytes and this, and nothing else.
import type { Digest } from '../oci/digest.ts'
import { manifestKind } from '../oci/media-type.ts'
import { type Repository, repositoryKey } from '../oci/reference.ts'
import { isListed } from './edges.ts'
import { filterFew } from '../async/few-at-once.ts'
import type { Edge, RecordedManifest } from './ports/catalog-content.ts'
import type { Catalog } from './ports/catalog.ts'
import { type Fact, FOREIGN_NAMED_MAX } from './ports/facts.ts'

/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

export type KeptManifestFact = Extract<Fact, { kind: 'manifest' }>

/**
 * Names of the foreign layers those that clients have sent here by now (R250).
 * @throws StoreError
 */
export async function keptManifestFact(
  catalog: Catalog,
  repository: Repository,
  { manifest, atMs }: { manifest: Omit<RecordedManifest, 'sizeBytes'>; atMs: number },
): Promise<KeptManifestFact> {
  const { digest, mediaType, edges } = manifest
  const fact = {
    kind: 'manifest',
    repository: repositoryKey(repository),
    digest,
    mediaType,
    atMs,
  } as const
  const foreign = new Set(edges.filter(isForeign).map(({ child }) => child))
  if (foreign.size === 0) return fact
  const here = await filterFew(
    [...foreign],
    LOOKS_AT_ONCE,
    async child => (await catalog.findMember(repository, child)) !== undefined,
  )
  return { ...fact, foreign: here.slice(0, FOREIGN_NAMED_MAX) }
}

/** The edges to what belongs to the repository by this fact, unless a tombstone takes it away. */
export function memberEdges(
  { foreign, mediaType }: KeptManifestFact,
  edges: readonly Edge[],
): readonly Edge[] {
  // Earlier versions did not say it, and wrote a tombstone for each that was not here; but for what
  // they did not understand, of which they knew nothing.
  const isSaid = foreign !== undefined || manifestKind(mediaType) === 'opaque'
  const named = isSaid ? new Set<Digest>(foreign) : undefined
  return edges.filter(
    edge => isListed(edge) || (isForeign(edge) && (named === undefined || named.has(edge.child))),
  )
}

function isForeign({ kind, distributable }: Edge): boolean {
  return kind !== 'subject' && !distributable
}
