// Whether an upstream got what an edge acknowledged: all of it, in its order, and no tag ever taken
// back. It looks at what the upstream has and was sent, and knows nothing of how that came about.
import type { StubRepository } from '../stubs/stub-content.ts'

export interface PushedImage {
  readonly digest: string
  /** Digests of all blobs. */
  readonly blobs: readonly string[]
  isAcknowledged: boolean
}

/**
 * One tag of one repository, to which images were pushed one after the other; one that was not
 * acknowledged may have taken effect.
 */
export interface PushedRepository {
  /** As the upstream knows it. */
  readonly name: string
  readonly tag: string
  readonly images: readonly PushedImage[]
}

type Got = Pick<StubRepository, 'manifests' | 'blobs' | 'tags' | 'puts'>

const NOTHING: Got = { manifests: new Map(), blobs: new Map(), tags: new Map(), puts: [] }

/** One sentence for each fault. */
export function judgeDelivery(pushed: PushedRepository, got: Got = NOTHING): readonly string[] {
  const faults = [
    ...findMissing(pushed, got),
    ...findForeign(pushed, got),
    ...findDisorder(pushed, got),
    ...findBackwards(pushed, got),
    ...findMisplaced(pushed, got),
  ]
  return faults.map(fault => `${pushed.name}: ${fault}`)
}

function findMissing({ images }: PushedRepository, { manifests, blobs, puts }: Got): string[] {
  return images.flatMap((image, index) => {
    if (!image.isAcknowledged) return []
    const { digest } = image
    const missing = image.blobs.filter(blob => !blobs.has(blob))
    const isPut = puts.some(put => put.tag === undefined && put.digest === digest)
    return [
      ...(manifests.has(digest) ? [] : [`image ${index} was acknowledged and is not there`]),
      ...(isPut ? [] : [`image ${index} was acknowledged and never put by its digest`]),
      ...missing.map(blob => `image ${index} was acknowledged and its blob ${blob} is not there`),
    ]
  })
}

function findForeign({ images }: PushedRepository, { manifests }: Got): string[] {
  const known = new Set(images.map(({ digest }) => digest))
  const foreign = [...manifests.keys()].filter(digest => !known.has(digest))
  return foreign.map(digest => `${digest} is there and was never pushed`)
}

/** By their first coming. */
function findDisorder({ images }: PushedRepository, { puts }: Got): string[] {
  const byDigest = puts.filter(({ tag }) => tag === undefined)
  const order = [...new Set(byDigest.map(({ digest }) => indexOf(images, digest)))]
  return isRising(order) ? [] : [`images came in the order ${order.join(' ')}`]
}

function findBackwards({ images, tag }: PushedRepository, { puts }: Got): string[] {
  const moves = puts.filter(put => put.tag === tag).map(({ digest }) => indexOf(images, digest))
  return isRising(moves) ? [] : [`${tag} went back: ${moves.join(' ')}`]
}

function findMisplaced({ images, tag }: PushedRepository, { tags }: Got): string[] {
  const last = images.findLastIndex(({ isAcknowledged }) => isAcknowledged)
  const found = indexOf(images, tags.get(tag))
  return found >= last ? [] : [`${tag} is at image ${found}, and ${last} was acknowledged last`]
}

function indexOf(images: readonly PushedImage[], digest: string | undefined): number {
  return images.findIndex(image => image.digest === digest)
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number >= (numbers[index - 1] ?? 0))
}
