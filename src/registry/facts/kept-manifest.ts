// What the fact of a kept manifest says of what the manifest lists: whoever builds a catalog from
// it has the bytes and this, and nothing else.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { manifestKind } from '../../oci/media-type.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { isListed } from '../content/edges.ts'
import { filterFew } from '../../async/few-at-once.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import { type Fact, FOREIGN_NAMED_MAX } from '../ports/facts.ts'

/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

export type KeptManifestFact = Extract<Fact, { kind: 'manifest' }>

interface Kept {
  readonly manifest: Omit<RecordedManifest, 'sizeBytes'>
  readonly atMs: number
  readonly isImported: boolean
}

/**
 * Of a manifest that the catalog has: of its foreign layers, which of them clients have sent here
 * by now (R250).
 * @throws StoreError
 */
export async function keptManifestFact(
  catalog: Catalog,
  repository: Repository,
  kept: Kept,
): Promise<KeptManifestFact> {
  return (await tell(catalog, repository, kept)).fact
}

/**
 * The same of one that is pushed: what its client is told is kept is to be found again.
 * @throws StoreError; RegistryError MANIFEST_INVALID when no fact has room for what is here
 */
export async function pushedManifestFact(
  catalog: Catalog,
  repository: Repository,
  kept: Kept,
): Promise<KeptManifestFact> {
  const { fact, isWhole } = await tell(catalog, repository, kept)
  if (isWhole) return fact
  throw new RegistryError(
    'MANIFEST_INVALID',
    `of what ${fact.digest} names without listing it, more than ${FOREIGN_NAMED_MAX} blobs are ` +
      'here and more than as many are not: send all of them, or none',
  )
}

/** Names what is here, or what is not, whichever a fact has room for. */
async function tell(
  catalog: Catalog,
  repository: Repository,
  { manifest, atMs, isImported }: Kept,
): Promise<{ readonly fact: KeptManifestFact; readonly isWhole: boolean }> {
  const { digest, mediaType, edges } = manifest
  const fact = {
    kind: 'manifest',
    repository: repositoryKey(repository),
    digest,
    mediaType,
    atMs,
    ...(isImported ? ({ imported: true } as const) : {}),
  } as const
  const foreign = new Set(edges.filter(isForeign).map(({ child }) => child))
  if (foreign.size === 0) return { fact, isWhole: true }
  const here = await filterFew(
    [...foreign],
    LOOKS_AT_ONCE,
    async child => (await catalog.findMember(repository, child)) !== undefined,
  )
  if (here.length <= FOREIGN_NAMED_MAX) return { fact: { ...fact, foreign: here }, isWhole: true }
  const isHere = new Set(here)
  const absent = [...foreign].filter(child => !isHere.has(child))
  if (absent.length <= FOREIGN_NAMED_MAX) return { fact: { ...fact, absent }, isWhole: true }
  return { fact: { ...fact, foreign: here.slice(0, FOREIGN_NAMED_MAX) }, isWhole: false }
}

/** The edges to what belongs to the repository by this fact, unless a tombstone takes it away. */
export function memberEdges(
  { foreign, absent, mediaType }: KeptManifestFact,
  edges: readonly Edge[],
): readonly Edge[] {
  // Earlier versions did not say it, and wrote a tombstone for each that was not here; but for what
  // they did not understand, of which they knew nothing.
  const isSaid = foreign !== undefined || manifestKind(mediaType) === 'opaque'
  const named = isSaid && absent === undefined ? new Set<Digest>(foreign) : undefined
  const gone = new Set<Digest>(absent)
  const isHere = (child: Digest) => !gone.has(child) && (named === undefined || named.has(child))
  return edges.filter(edge => isListed(edge) || (isForeign(edge) && isHere(edge.child)))
}

function isForeign({ kind, distributable }: Edge): boolean {
  return kind !== 'subject' && !distributable
}
