// Clients that push one image after the other, each to one tag of a repository of its own, and
// remember what was acknowledged: an image that was not is pushed again, as a person would.
import { digestOf } from '../../../src/oci/digest.ts'
import { bytesContent, patternBlob } from '../content.ts'
import type { PushedImage, PushedRepository } from '../judges/delivery-judge.ts'
import { manifestOver } from './push-client.ts'
import { type ClientStep, type HalvableImage, pushInHalves } from './push-in-halves.ts'
import type { Random } from '../seeded.ts'

/**
 * Images of all clients share these, so that some blobs are mounted at the upstream, and some are
 * there already.
 */
const BASES = ['base a', 'base b', 'base c'] as const
const BASE_BYTES = 40_000
/** The larger ones come in several pieces. */
const LAYER_BYTES = [1_000, 400_000] as const

export interface QueueClient extends PushedRepository {
  /** As clients of the edge write it: `registry.test/team/app-1`. */
  readonly repository: string
  /** Refusals, each as one line. */
  readonly refused: readonly string[]
  /** Pushes the next image, or again the last one. Resolves to whether it was acknowledged. */
  push(url: string, at: (step: ClientStep) => void): Promise<boolean>
}

export interface QueueClientOptions {
  readonly registry: string
  readonly name: string
  /** Sizes and bytes are drawn from it. */
  readonly random: Random
}

export function createQueueClient({ registry, name, random }: QueueClientOptions): QueueClient {
  const tag = 'latest'
  const repository = `${registry}/${name}`
  const images: PushedImage[] = []
  const refused: string[] = []
  let current: { readonly image: HalvableImage; readonly pushed: PushedImage } | undefined

  function next() {
    const image = drawImage(`${name} ${images.length}`, random)
    const { manifest, blobs } = image
    const digests = blobs.map(({ digest }) => digest)
    const pushed = { digest: manifest.digest, blobs: digests, isAcknowledged: false }
    images.push(pushed)
    return { image, pushed }
  }

  return {
    name,
    tag,
    images,
    repository,
    refused,
    async push(url, at) {
      current ??= next()
      const { image, pushed } = current
      const end = await pushInHalves(image, { url, repository, tag, at })
      if (end.kind === 'refused') refused.push(`${repository}: ${end.why}`)
      if (end.kind !== 'acknowledged') return false
      pushed.isAcknowledged = true
      current = undefined
      return true
    },
  }
}

function drawImage(name: string, random: Random): HalvableImage {
  const base = patternBlob(random.pick(BASES), BASE_BYTES)
  const layer = patternBlob(`${name} ${random.below(2 ** 31)}`, random.between(...LAYER_BYTES))
  const config = bytesContent(Buffer.from(JSON.stringify({ name, layer: digestOf(layer.bytes()) })))
  const manifest = manifestOver(config.bytes(), [base.bytes(), layer.bytes()])
  return { manifest, blobs: [base, layer, config] }
}
