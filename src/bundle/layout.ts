// What a bundle is as an OCI image layout (image-spec image-layout.md), so that skopeo, podman,
// ctr, crane and regctl read it as it is: the names of its members, and its index.
import { type Digest, digestAlgorithm, digestFrom, digestHex } from '../oci/digest.ts'

export const LAYOUT_NAME = 'oci-layout'
export const LAYOUT_TEXT = '{"imageLayoutVersion":"1.0.0"}'
export const INDEX_NAME = 'index.json'
/** Beside the layout, whose readers pass it over. */
export const INVENTORY_NAME = 'entrepot/inventory'

export function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}

/** Undefined for what is no blob's name. */
export function digestOfName(name: string): Digest | undefined {
  const [, algorithm, hex] = /^blobs\/([a-z0-9]+)\/([0-9a-f]+)$/.exec(name) ?? []
  return algorithm === undefined ? undefined : digestFrom(`${algorithm}:${hex}`)
}

/** An entry of the index. */
export interface LayoutImage {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mediaType: string
  /** `docker.io/library/alpine:3`; undefined for what is there because it is about another. */
  readonly name: string | undefined
  /** Of the latter. */
  readonly subject?: Digest | undefined
}

/**
 * In pieces, one for each image. The name stands in both annotations as a whole: of tags alone two
 * images of one bundle would have the same, and skopeo and podman could not tell them apart.
 */
export function* writeIndex(images: Iterable<LayoutImage>): Generator<Buffer> {
  const type = 'application/vnd.oci.image.index.v1+json'
  yield Buffer.from(`{"schemaVersion":2,"mediaType":"${type}","manifests":[`)
  let between = ''
  for (const image of images) {
    yield Buffer.from(`${between}\n${JSON.stringify(descriptorOf(image))}`)
    between = ','
  }
  yield Buffer.from('\n]}\n')
}

function descriptorOf({ mediaType, digest, sizeBytes, name, subject }: LayoutImage) {
  const named = name && {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name,
  }
  const about = subject && { 'io.containerd.manifest.subject': subject }
  const annotations = { ...named, ...about }
  const isBare = Object.keys(annotations).length === 0
  return { mediaType, digest, size: sizeBytes, ...(isBare ? {} : { annotations }) }
}
