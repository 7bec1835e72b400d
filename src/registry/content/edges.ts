// A parsed manifest as the catalog records it: which digests it names, as what, and how large
// they say they are.
import type { Digest } from '../../oci/digest.ts'
import { type Descriptor, isDistributable } from '../../oci/descriptor.ts'
import type { Manifest } from '../../oci/manifest.ts'
import type { Edge, EdgeKind, RecordedManifest } from '../ports/catalog-content.ts'

/**
 * Indexes inside indexes, counted from the outermost: what is deeper is not looked at, by whatever
 * walks an image (R186). Nobody makes deeper ones, and no client makes a walk go on for long.
 */
export const INDEX_DEPTH_MAX = 4

/**
 * Children whose digest algorithm is not computed here are left out: they can't be fetched by it
 * either (R23). What a manifest names that is not understood stays as long as that does, and is
 * otherwise as a foreign layer: by being named nothing belongs to the repository, or has to be
 * there.
 */
export function asRecorded(
  manifest: Manifest,
  digest: Digest,
  sizeBytes: number,
): RecordedManifest {
  const edges = [
    ...manifest.manifests.map(child => edge(child, 'manifest')),
    ...(manifest.config === undefined ? [] : [edge(manifest.config, 'config')]),
    ...manifest.layers.map(child => edge(child, 'layer')),
    ...(manifest.subject === undefined ? [] : [edge(manifest.subject, 'subject')]),
    ...manifest.named.manifests.map(child => named(child, 'manifest')),
    ...manifest.named.blobs.map(child => named(child, 'layer')),
  ]
  return {
    digest,
    mediaType: manifest.mediaType,
    sizeBytes,
    edges: edges.filter(each => each !== undefined),
  }
}

/**
 * Does the manifest say that it is in its repository? Neither a subject is by that (R179), nor is a
 * foreign layer (R250).
 */
export function isListed({ kind, distributable }: Edge): boolean {
  return kind !== 'subject' && distributable
}

/** A config or a layer that registries give: no foreign layer. */
export function isBlob({ kind, distributable }: Edge): boolean {
  return (kind === 'config' || kind === 'layer') && distributable
}

function named(descriptor: Descriptor, kind: EdgeKind): Edge | undefined {
  const found = edge(descriptor, kind)
  return found && { ...found, distributable: false }
}

function edge(descriptor: Descriptor, kind: EdgeKind): Edge | undefined {
  if (descriptor.digest === undefined) return undefined
  return {
    child: descriptor.digest,
    kind,
    sizeBytes: descriptor.sizeBytes,
    mediaType: descriptor.mediaType,
    platform: descriptor.platform,
    distributable: isDistributable(descriptor),
  }
}
