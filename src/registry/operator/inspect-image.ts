// `inspect`: one image as it is here: its platforms, what each is made of, and how much of it is on
// disk.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'
import { findImage, imageNotHere } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'

export interface InspectedBlob {
  readonly digest: string
  readonly kind: 'config' | 'layer'
  readonly mediaType: string
  readonly sizeBytes: number
  readonly cached: boolean
}

export interface InspectedManifest {
  readonly digest: string
  readonly mediaType: string
  /** `linux/amd64`; undefined for what an index does not list by platform. */
  readonly platform: string | undefined
  /** The manifest itself is here. */
  readonly cached: boolean
  readonly blobs: readonly InspectedBlob[]
}

export interface InspectedImage {
  readonly image: string
  readonly digest: string
  readonly mediaType: string
  /** One for an image, one for each child of an index. */
  readonly manifests: readonly InspectedManifest[]
  readonly sizeBytes: number
  readonly cachedBytes: number
  /** Manifests here that refer to this one: signatures, attestations. */
  readonly referrers: readonly string[]
}

/** @throws RegistryError MANIFEST_UNKNOWN when it is not here */
export async function inspectImage(deps: OperatorDeps, text: string): Promise<InspectedImage> {
  const found = await findImage(deps, text)
  const { image, repository, digest } = found
  const recorded =
    digest === undefined ? undefined : await deps.catalog.findManifest(repository, digest)
  if (recorded === undefined) throw imageNotHere(deps, found)
  const children = recorded.edges.filter(edge => edge.kind === 'manifest')
  const manifests =
    children.length === 0
      ? [await inspectManifest(deps, recorded, undefined)]
      : await Promise.all(children.map(child => inspectChild(deps, repository, child)))
  // Two platforms may share a blob, which is on disk once.
  const blobs = [
    ...new Map(manifests.flatMap(each => each.blobs).map(blob => [blob.digest, blob])).values(),
  ]
  return {
    image,
    digest: recorded.digest,
    mediaType: recorded.mediaType,
    manifests,
    sizeBytes: sum(blobs),
    cachedBytes: sum(blobs.filter(blob => blob.cached)),
    referrers: await deps.catalog.listReferrers(repository, recorded.digest),
  }
}

async function inspectChild(
  deps: OperatorDeps,
  repository: Repository,
  child: Edge,
): Promise<InspectedManifest> {
  const recorded = await deps.catalog.findManifest(repository, child.child)
  if (recorded !== undefined) return inspectManifest(deps, recorded, child.platform)
  return {
    digest: child.child,
    mediaType: child.mediaType,
    platform: child.platform,
    cached: false,
    blobs: [],
  }
}

async function inspectManifest(
  deps: OperatorDeps,
  recorded: RecordedManifest,
  platform: string | undefined,
): Promise<InspectedManifest> {
  const blobs = await Promise.all(
    recorded.edges.flatMap(edge =>
      edge.kind === 'config' || edge.kind === 'layer' ? [inspectBlob(deps, edge, edge.kind)] : [],
    ),
  )
  return { digest: recorded.digest, mediaType: recorded.mediaType, platform, cached: true, blobs }
}

async function inspectBlob(
  deps: OperatorDeps,
  edge: Edge,
  kind: InspectedBlob['kind'],
): Promise<InspectedBlob> {
  const { child, mediaType, sizeBytes } = edge
  return { digest: child, kind, mediaType, sizeBytes, cached: await isHere(deps, child) }
}

async function isHere(deps: OperatorDeps, digest: Digest): Promise<boolean> {
  return (await deps.store.find(digest)) !== undefined
}

function sum(blobs: readonly InspectedBlob[]): number {
  return blobs.reduce((total, blob) => total + blob.sizeBytes, 0)
}
