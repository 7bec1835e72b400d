// What `docker save` writes: configurations and layers, and no manifest, since dockerd keeps none.
// It is made here as skopeo makes it, byte for byte, so the image has the digest that skopeo and
// podman tell of the same file.
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { digestFrom } from '../../oci/digest.ts'
import { DOCKER_MANIFEST } from '../../oci/media-type.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import type { ArchiveContents } from './archive-contents.ts'
import { readJson } from './archive-layout.ts'
import { type GivenName, namesOf, requireOneName, withoutNames } from './archive-names.ts'
import type { ArchivePlan } from './archive-plan.ts'

const CONFIG_TYPE = 'application/vnd.docker.container.image.v1+json'
/** Of layers that are not compressed, too: who unpacks one looks at its bytes, not at this. */
const LAYER_TYPE = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
/** Of dockerd there are at most 127. */
const LAYERS_MAX = 1_000
const IMAGES_MAX = 10_000

interface SavedImage {
  readonly config: string
  readonly layers: readonly string[]
  readonly names: readonly string[]
}

/** Returns how many were left, because nothing says their names. @throws BundleFault */
export async function planDocker(
  plan: ArchivePlan,
  {
    contents,
    text,
    given,
  }: {
    readonly contents: ArchiveContents
    readonly text: Uint8Array
    readonly given: GivenName | undefined
  },
): Promise<number> {
  const images = savedImages(text)
  const named = images.map(image => {
    const entry = { names: image.names, tag: undefined }
    return { image, entry, names: namesOf(entry, given) }
  })
  requireOneName(named, given)
  let left = 0
  for (const { image, names } of named) {
    if (names.length === 0) left += 1
    const { digest } = await contents.add(await manifestOf(contents, image))
    for (const name of names) await plan.addImage(name, { digest, mediaType: DOCKER_MANIFEST })
  }
  if (plan.images === 0) throw withoutNames(named.map(({ entry }) => entry))
  return left
}

/** As Go writes it, and skopeo: `image/internal/docker/archive`. @throws BundleFault */
async function manifestOf(
  contents: ArchiveContents,
  { config: configName, layers: layerNames }: SavedImage,
): Promise<Buffer> {
  const config = found(contents, configName)
  const layers = layerNames.map(name => found(contents, name))
  await requireLayers(contents, { config, layers, layerNames })
  const descriptor = (mediaType: string, { digest, sizeBytes }: StoredBlob) => ({
    mediaType,
    size: sizeBytes,
    digest,
  })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: DOCKER_MANIFEST,
      config: descriptor(CONFIG_TYPE, config),
      layers: layers.map(layer => descriptor(LAYER_TYPE, layer)),
    }),
  )
}

/** The configuration says what each layer is, unpacked; of a packed one its name does. */
async function requireLayers(
  contents: ArchiveContents,
  {
    config,
    layers,
    layerNames,
  }: {
    readonly config: StoredBlob
    readonly layers: readonly StoredBlob[]
    readonly layerNames: readonly string[]
  },
): Promise<void> {
  const { rootfs } = readJson(await contents.bytesOf(config.digest)) as {
    rootfs?: { diff_ids?: unknown }
  }
  const ids: unknown = rootfs?.diff_ids
  if (!Array.isArray(ids) || ids.length !== layers.length)
    throw new BundleFault(`the configuration ${config.digest} has not the layers of its image`)
  for (const [at, { digest }] of layers.entries()) {
    const name = layerNames[at] ?? ''
    const isPacked = name.endsWith('.gz')
    const expected = isPacked
      ? digestFrom(`sha256:${/([0-9a-f]{64})\.tar\.gz$/.exec(name)?.[1]}`)
      : ids[at]
    if (digest !== expected)
      throw new BundleFault(
        `${JSON.stringify(name.slice(0, 300))} is not the layer that ${isPacked ? 'its name' : 'the configuration'} says`,
      )
  }
}

function found(contents: ArchiveContents, name: string): StoredBlob {
  const blob = contents.find(name)
  if (blob !== undefined) return blob
  throw new BundleFault(`it names ${JSON.stringify(name.slice(0, 300))}, and does not bring it`)
}

/** @throws BundleFault */
function savedImages(text: Uint8Array): readonly SavedImage[] {
  const images = readJson(text)
  if (!Array.isArray(images) || images.length > IMAGES_MAX) throw noManifest()
  return images.map(savedImage)
}

function savedImage(value: unknown): SavedImage {
  if (typeof value !== 'object' || value === null) throw noManifest()
  const { Config: config, Layers: layers, RepoTags: names } = value as Record<string, unknown>
  if (typeof config !== 'string' || !isTexts(layers) || layers.length > LAYERS_MAX)
    throw noManifest()
  return { config, layers, names: isTexts(names) ? names : [] }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(each => typeof each === 'string')
}

function noManifest(): BundleFault {
  return new BundleFault('its manifest.json is none of docker save')
}
