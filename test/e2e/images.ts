// Images that real clients unpack, made on the spot, and their push to an upstream by the plain
// upload protocol. Contents differ with every run, so that nothing is found in a store by chance.
import { randomBytes } from 'node:crypto'
import { digestOf } from '../../src/oci/digest.ts'
import { bytesContent, type Content, patternBlob } from '../kit/content.ts'
import { document, type Image, makeIndex, MEDIA_TYPES, type MediaTypes } from '../kit/image.ts'
import { gzipOf, tarOf } from '../kit/tar-archive.ts'

const RUN = randomBytes(6).toString('hex')

export interface LayeredOptions {
  readonly seed: string
  /** One layer for each, about so many bytes compressed. */
  readonly layerBytes: readonly number[]
  /** Its first layer is that of this seed's images of the same length. Default: its own. */
  readonly base?: string
  readonly mediaTypes?: MediaTypes
  /** Default amd64. */
  readonly architecture?: string
}

/** An image whose layers are archives of incompressible files. */
export function layeredImage(options: LayeredOptions): Image {
  const { seed, base = seed, layerBytes, mediaTypes = 'oci', architecture = 'amd64' } = options
  const types = MEDIA_TYPES[mediaTypes]
  const archives = layerBytes.map((sizeBytes, index) => {
    const from = index === 0 ? base : seed
    const file = patternBlob(`${RUN}/${from}/${architecture}/${index}`, sizeBytes).bytes()
    return tarOf(`file-${index}`, file)
  })
  const layers = archives.map(archive => bytesContent(gzipOf(archive)))
  const config = bytesContent(
    Buffer.from(
      JSON.stringify({
        architecture,
        os: 'linux',
        created: '2020-01-01T00:00:00Z',
        config: { Cmd: ['/file-0'], Labels: { run: RUN, seed } },
        rootfs: { type: 'layers', diff_ids: archives.map(archive => digestOf(archive)) },
        history: archives.map(() => ({ created: '2020-01-01T00:00:00Z', created_by: 'test' })),
      }),
    ),
  )
  const manifest = document(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: config.digest, size: config.sizeBytes },
    layers: layers.map(({ digest, sizeBytes }) => ({
      mediaType: types.layer,
      digest,
      size: sizeBytes,
    })),
  })
  const { mediaType, digest, bytes } = manifest
  const platform = { architecture, os: 'linux' }
  const descriptor = { mediaType, digest, size: bytes.length, platform }
  return { manifest, config, layers, children: [], descriptor }
}

/** An index over the same image for amd64 and arm64, in this order. */
export function twoPlatforms(options: LayeredOptions): Image {
  const images = ['amd64', 'arm64'].map(architecture => layeredImage({ ...options, architecture }))
  return makeIndex(images, options.mediaTypes)
}

/** Blobs of an image, or of the images below an index. */
export function blobsOf(image: Image): readonly Content[] {
  if (image.children.length > 0) return image.children.flatMap(blobsOf)
  return [image.config, ...image.layers]
}

/**
 * Uploads everything below `image` and puts its manifest under `tag`.
 * @throws Error for any answer that is no success.
 */
export async function push(
  upstreamUrl: string,
  image: Image,
  { name, tag }: { name: string; tag: string },
): Promise<void> {
  const repository = `${upstreamUrl}/v2/${name}`
  for (const child of image.children)
    await push(upstreamUrl, child, { name, tag: child.manifest.digest })
  if (image.children.length === 0) {
    for (const blob of blobsOf(image)) await upload(repository, blob)
  }
  const { bytes, mediaType } = image.manifest
  await send(`${repository}/manifests/${tag}`, 'PUT', { 'content-type': mediaType }, bytes)
}

async function upload(repository: string, blob: Content): Promise<void> {
  const started = await send(`${repository}/blobs/uploads/`, 'POST', {})
  const location = new URL(started.headers.get('location') ?? '', repository)
  location.searchParams.set('digest', blob.digest)
  const type = { 'content-type': 'application/octet-stream' }
  await send(location.href, 'PUT', type, blob.bytes())
}

async function send(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<Response> {
  const response = await fetch(url, { method, headers, body: body ? new Uint8Array(body) : null })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
  return response
}
