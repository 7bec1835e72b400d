// Images that share layers, as whoever fills a disk from a seed wants them.
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { Content } from './content.ts'
import { type Image, makeImage } from './image.ts'
import type { Random } from './seeded.ts'

const KiB = 1024

/** Over some of `layers`, which all images choose from, and one of its own. */
export function sharingImage(random: Random, seed: string, layers: readonly Content[]): Image {
  const chosen = layers.filter(() => random.oneIn(3))
  const image = makeImage({ seed, layers: [random.between(1, 40) * KiB] })
  const manifest = JSON.parse(image.manifest.bytes.toString()) as {
    layers: { mediaType: string; digest: Digest; size: number }[]
  }
  const [own] = manifest.layers
  for (const { digest, sizeBytes } of chosen)
    manifest.layers.push({ mediaType: own?.mediaType ?? '', digest, size: sizeBytes })
  const bytes = Buffer.from(JSON.stringify(manifest))
  const document = { ...image.manifest, bytes, digest: digestOf(bytes) }
  return {
    ...image,
    layers: [...image.layers, ...chosen],
    manifest: document,
    descriptor: { ...image.descriptor, digest: document.digest, size: bytes.length },
  }
}
