// Can this edge deliver everything that a manifest names, without asking anybody? Asked before a
// manifest is given while its upstream cannot be (R91): container tools choose a mirror by the
// manifest and then take every blob from it.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { INDEX_DEPTH_MAX, isListed } from './edges.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { mayGive, type SharingDeps } from '../routing/sharing.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'

export interface CompletenessDeps extends SharingDeps {
  readonly store: BlobStore
}

/** An image with all its blobs here, or an index with at least one such image. */
export async function isComplete(
  deps: CompletenessDeps,
  repository: Repository,
  manifest: RecordedManifest,
): Promise<boolean> {
  return isWhole({ ...deps, repository, lacking: new Set() }, manifest, 0)
}

/** The same of what is known by its digest alone, its own document included. */
export async function isWholeHere(
  deps: CompletenessDeps,
  repository: Repository,
  digest: Digest,
): Promise<boolean> {
  const recorded = await deps.catalog.findManifest(repository, digest)
  if (recorded === undefined || (await deps.store.find(digest)) === undefined) return false
  return isComplete(deps, repository, recorded)
}

interface Search extends CompletenessDeps {
  readonly repository: Repository
  /** Found incomplete already: indexes that name each other many times over are looked at once. */
  readonly lacking: Set<Digest>
}

async function isWhole(
  search: Search,
  manifest: RecordedManifest,
  depth: number,
): Promise<boolean> {
  const children = manifest.edges.filter(edge => edge.kind === 'manifest' && isListed(edge))
  if (children.length > 0) {
    // Deeper ones count as incomplete.
    if (depth === INDEX_DEPTH_MAX) return false
    for (const { child } of children)
      if (!search.lacking.has(child) && (await isChildWhole(search, child, depth))) return true
    return false
  }
  for (const edge of manifest.edges) if (!(await isHere(search, edge))) return false
  return true
}

async function isChildWhole(search: Search, child: Digest, depth: number): Promise<boolean> {
  const { catalog, store, repository } = search
  const recorded = await catalog.findManifest(repository, child)
  const found = recorded === undefined ? undefined : await store.find(child)
  if (recorded !== undefined && found !== undefined && (await isWhole(search, recorded, depth + 1)))
    return true
  search.lacking.add(child)
  return false
}

async function isHere({ store, repository, ...deps }: Search, edge: Edge): Promise<boolean> {
  if (!isListed(edge)) return true
  // Without that the upstream would have to say that it belongs here (R179), or give it (R252).
  if (!(await mayGive(deps, repository, { digest: edge.child }))) return false
  return (await store.find(edge.child)) !== undefined
}
