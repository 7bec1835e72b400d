// How large an image is with all its platforms, and which of them are here whole. What tells is
// what is here: of a platform whose manifest is not, nothing is known but that it is there.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { type CompletenessDeps, isWholeHere } from '../content/completeness.ts'
import { INDEX_DEPTH_MAX, isListed } from '../content/edges.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'

/** What builders list beside the platforms: attestations, which no client pulls with an image. */
const NO_PLATFORM = 'unknown/unknown'

export interface ImageSize {
  /** Everything that is named by the manifests that are here, each once. */
  readonly sizeBytes: number
  /** There is more than `sizeBytes` counts: manifests of some platforms are not here. */
  readonly hasMore: boolean
  /** Of an image by itself, one. */
  readonly platforms: number
  /** Of these, how many could be given without asking anybody. */
  readonly wholePlatforms: number
}

export async function sizeUp(
  deps: CompletenessDeps,
  repository: Repository,
  manifest: RecordedManifest,
): Promise<ImageSize> {
  const sizes = new Map<Digest, number>([[manifest.digest, manifest.sizeBytes]])
  const hasMore = await addBelow({ ...deps, repository, sizes }, manifest, 0)
  const platforms = platformsOf(manifest)
  let wholePlatforms = 0
  for (const digest of platforms)
    if (await isWholeHere(deps, repository, digest)) wholePlatforms += 1
  return {
    sizeBytes: sizes.values().reduce((sum, bytes) => sum + bytes, 0),
    hasMore,
    platforms: platforms.length,
    wholePlatforms,
  }
}

function platformsOf({ digest, edges }: RecordedManifest): readonly Digest[] {
  const children = edges.filter(isManifest)
  const proper = children.filter(({ platform }) => platform !== NO_PLATFORM)
  if (children.length === 0) return [digest]
  return [...new Set((proper.length === 0 ? children : proper).map(({ child }) => child))]
}

function isManifest(edge: Edge): boolean {
  return edge.kind === 'manifest' && isListed(edge)
}

interface Sizing extends CompletenessDeps {
  readonly repository: Repository
  readonly sizes: Map<Digest, number>
}

/** @returns whether the manifest of some platform is not here */
async function addBelow(
  sizing: Sizing,
  { edges }: RecordedManifest,
  depth: number,
): Promise<boolean> {
  let hasMore = false
  for (const edge of edges) {
    if (edge.kind === 'subject' || sizing.sizes.has(edge.child)) continue
    sizing.sizes.set(edge.child, edge.sizeBytes)
    if (!isManifest(edge)) continue
    const recorded =
      depth === INDEX_DEPTH_MAX
        ? undefined
        : await sizing.catalog.findManifest(sizing.repository, edge.child)
    const isCut =
      recorded === undefined
        ? edge.platform !== NO_PLATFORM
        : await addBelow(sizing, recorded, depth + 1)
    hasMore ||= isCut
  }
  return hasMore
}
