// Images, indexes and artifacts made in memory from a seed: the same seed is the same digests on
// every machine. Nothing is written to disk and nothing is checked: a test may make documents that
// are wrong on purpose.
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { bytesContent, type Content, patternBlob } from './content.ts'
import { gzipOf, tarOf } from './tar-archive.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly platform?: Platform
  readonly artifactType?: string
}

export interface Platform {
  readonly architecture: string
  readonly os: string
  readonly variant?: string
}

/** A manifest or an index: bytes and the media type that they are served with. */
export interface Document {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Buffer
}

/** A manifest, the blobs that it names and the manifests below it; what a stub registry takes. */
export interface Image {
  readonly manifest: Document
  /** For an index: an empty blob that no one asks for. */
  readonly config: Content
  readonly layers: readonly Content[]
  readonly children: readonly Image[]
  /** To stand in an index, or as `subject`. */
  readonly descriptor: Descriptor
}

export interface ImageOptions {
  readonly seed: string | number
  /**
   * A number: so many small tar.gz that real clients unpack. Sizes in bytes: pattern blobs of
   * exactly these sizes. Default 2.
   */
  readonly layers?: number | readonly number[]
  readonly mediaTypes?: MediaTypes
  /** Default linux/amd64. */
  readonly platform?: Platform
  readonly subject?: Descriptor
  /** Makes the config the empty JSON object, as artifacts have it. */
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export type MediaTypes = 'oci' | 'docker'

/** The media types of each family. */
export const MEDIA_TYPES = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const

const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', bytes: Buffer.from('{}') } as const

/**
 * A manifest with a config and layers. The config differs with seed and platform, so that no two
 * images share one.
 */
export function makeImage(options: ImageOptions): Image {
  const types = MEDIA_TYPES[options.mediaTypes ?? 'oci']
  const platform = options.platform ?? { architecture: 'amd64', os: 'linux' }
  const parts = makeLayers(options)
  const layers = parts.map(part => part.content)
  const config =
    options.artifactType === undefined
      ? bytesContent(configBytes(options, platform, parts))
      : bytesContent(EMPTY.bytes)
  const manifest = document(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    ...(options.artifactType === undefined ? {} : { artifactType: options.artifactType }),
    config: {
      mediaType: options.artifactType === undefined ? types.config : EMPTY.mediaType,
      digest: config.digest,
      size: config.sizeBytes,
    },
    layers: layers.map(({ digest, sizeBytes }) => ({
      mediaType: types.layer,
      digest,
      size: sizeBytes,
    })),
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  })
  const described = describe(manifest, options.artifactType)
  const descriptor = options.artifactType === undefined ? { ...described, platform } : described
  return { manifest, config, layers, children: [], descriptor }
}

/** An index over `images`, in their order. */
export function makeIndex(images: readonly Image[], mediaTypes: MediaTypes = 'oci'): Image {
  const mediaType = MEDIA_TYPES[mediaTypes].index
  const manifest = document(mediaType, {
    schemaVersion: 2,
    mediaType,
    manifests: images.map(image => image.descriptor),
  })
  const config = bytesContent(Buffer.alloc(0))
  return { manifest, config, layers: [], children: images, descriptor: describe(manifest) }
}

/** An artifact that refers to `subject`: what a signature or an SBOM looks like in a registry. */
export function makeArtifact(options: {
  seed: string | number
  subject: Descriptor
  artifactType?: string
}): Image {
  const { seed, subject, artifactType = 'application/vnd.example.sbom.v1' } = options
  const { platform: _, ...bare } = subject
  return makeImage({ seed, subject: bare, artifactType, layers: [64] })
}

/** A document of any members, with the digest of exactly these bytes. */
export function document(mediaType: string, members: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(members))
  return { digest: digestOf(bytes), mediaType, bytes }
}

function describe(manifest: Document, artifactType?: string): Descriptor {
  const { mediaType, digest, bytes } = manifest
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
  }
}

interface Layer {
  readonly content: Content
  /** Digest of the uncompressed archive, for `rootfs.diff_ids`. */
  readonly diffId: Digest
}

function makeLayers({ seed, layers = 2 }: ImageOptions): readonly Layer[] {
  if (typeof layers !== 'number') {
    return layers.map((sizeBytes, index) => {
      const content = patternBlob(`${seed}/${index}`, sizeBytes)
      return { content, diffId: content.digest }
    })
  }
  return Array.from({ length: layers }, (_, index) => {
    const archive = tarOf(
      `file-${index}.txt`,
      Buffer.from(`content of layer ${index} of ${seed}\n`),
    )
    return { content: bytesContent(gzipOf(archive)), diffId: digestOf(archive) }
  })
}

function configBytes(options: ImageOptions, platform: Platform, parts: readonly Layer[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...platform,
      created: '2020-01-01T00:00:00Z',
      config: { Env: [`SEED=${options.seed}`], Cmd: ['/file-0.txt'] },
      rootfs: { type: 'layers', diff_ids: parts.map(part => part.diffId) },
      history: parts.map(() => ({
        created: '2020-01-01T00:00:00Z',
        created_by: 'entrepot test kit',
      })),
    }),
  )
}
