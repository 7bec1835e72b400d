// Can this edge deliver everything that a manifest names, without asking anybody? Asked before a manifest is given while its
// upstream cannot be (R91): container tools choose a mirror by the manifest and then take every blob from it.
import type { Repository } from '../oci/reference.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog, Edge, ManifestFact } from './ports/catalog.ts'

/** Indexes inside indexes, counted from the outermost; deeper ones count as incomplete (R186). */
const MAX_DEPTH = 4

export interface CompletenessDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
}

/** An image with all its blobs here, or an index with at least one such image. */
export async function isComplete(
  deps: CompletenessDeps,
  repository: Repository,
  manifest: ManifestFact,
  depth = 0,
): Promise<boolean> {
  const children = manifest.edges.filter(edge => edge.kind === 'manifest')
  if (children.length > 0) {
    if (depth === MAX_DEPTH) return false
    for (const child of children)
      if (await isChildComplete(deps, repository, child, depth)) return true
    return false
  }
  for (const edge of manifest.edges) if (!(await isHere(deps, edge))) return false
  return true
}

async function isChildComplete(
  deps: CompletenessDeps,
  repository: Repository,
  child: Edge,
  depth: number,
): Promise<boolean> {
  const fact = await deps.catalog.findManifest(repository, child.child)
  if (fact === undefined || (await deps.store.find(child.child)) === undefined) return false
  return isComplete(deps, repository, fact, depth + 1)
}

async function isHere(deps: CompletenessDeps, edge: Edge): Promise<boolean> {
  if (edge.kind === 'subject' || !edge.distributable) return true
  return (await deps.store.find(edge.child)) !== undefined
}
