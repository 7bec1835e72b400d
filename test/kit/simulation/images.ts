// The few images of a simulation, made to meet: most of what each lists others list as well, and
// what one repository pushes another one pulls. All of it is small and in memory.
import type { Digest } from '../../../src/oci/digest.ts'
import { bytesContent, type Content, patternBlob } from '../content.ts'
import { type Descriptor, document, type Image, makeIndex, MEDIA_TYPES } from '../image.ts'

/** In bytes: less than a block of the disk, and some of them. */
const LAYER_BYTES = [900, 4_096, 5_000, 7_000, 9_000, 10_000, 11_000, 13_000]

const layers = LAYER_BYTES.map((sizeBytes, n) =>
  bytesContent(patternBlob(`layer ${n}`, sizeBytes).bytes()),
)
/** Shared like a layer, as builds that differ by a label alone share it. */
const configs = [0, 1, 2, 3].map(n => bytesContent(Buffer.from(JSON.stringify({ config: n }))))

const singles = [
  [0, [0]],
  [0, [0, 1]],
  [1, [0, 2]],
  [1, [1, 3]],
  [2, [0, 1, 4]],
  [2, [3, 4]],
  [2, [5]],
  // Nobody pushes these.
  [3, [5, 6]],
  [3, [6, 7]],
  [3, [7]],
] as const
const PULLED_ONLY = 3

/** Indexes last; each is of some of those before it. */
export const IMAGES: readonly Image[] = imagesOf()

export const LARGEST_BYTES = Math.max(...LAYER_BYTES)

export const TAGS = ['latest', 'v1'] as const

/** Those that clients push as well. */
export const PUSHED_IMAGES: readonly Image[] = IMAGES.filter(
  (_image, n) => n < singles.length - PULLED_ONLY || n >= singles.length,
)

/** What every digest of it stands for. */
export const BYTES: ReadonlyMap<Digest, Buffer> = new Map(
  IMAGES.flatMap(({ manifest, config, layers: below, children }) => [
    [manifest.digest, manifest.bytes] as const,
    ...(children.length > 0 ? [] : [config, ...below]).map(
      each => [each.digest, each.bytes()] as const,
    ),
  ]),
)

/** Blobs that it lists itself. */
export function blobsOf({ config, layers: below, children }: Image): readonly Content[] {
  return children.length > 0 ? [] : [config, ...below]
}

export function nameOf(image: Image): string {
  return `image ${IMAGES.indexOf(image)}`
}

function imagesOf(): readonly Image[] {
  const made = singles.map(([config, below], n) =>
    singleOf(
      n,
      configs[config] as Content,
      below.map(each => layers[each] as Content),
    ),
  )
  return [...made, makeIndex(made.slice(0, 2)), makeIndex(made.slice(2, 5))]
}

function singleOf(n: number, config: Content, below: readonly Content[]): Image {
  const types = MEDIA_TYPES.oci
  const describe = (mediaType: string, { digest, sizeBytes }: Content): Descriptor => {
    return { mediaType, digest, size: sizeBytes }
  }
  const manifest = document(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(types.config, config),
    layers: below.map(each => describe(types.layer, each)),
    annotations: { build: `${n}` },
  })
  const { digest, bytes, mediaType } = manifest
  const platform = { architecture: 'amd64', os: 'linux', variant: `v${n}` }
  const descriptor = { mediaType, digest, size: bytes.length, platform }
  return { manifest, config, layers: below, children: [], descriptor }
}
