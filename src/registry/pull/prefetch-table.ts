// The images that are fetched ahead now, by themselves and by their blobs. Bounded: what does not
// fit is not fetched ahead.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { ImagePrefetch } from './prefetch-image.ts'

/**
 * At once; with their blobs some MiB at the very most. A site that pulls more than this at once has
 * no places to spare.
 */
const IMAGES_MAX = 256

export class PrefetchTable {
  readonly #images = new Map<string, ImagePrefetch>()
  readonly #byBlob = new Map<Digest, Set<ImagePrefetch>>()

  find(key: string): ImagePrefetch | undefined {
    return this.#images.get(key)
  }

  /** False when there is no room for it. */
  add(image: ImagePrefetch): boolean {
    if (this.#images.size >= IMAGES_MAX) return false
    this.#images.set(image.key, image)
    for (const { child } of image.blobs) {
      const images = this.#byBlob.get(child)
      if (images === undefined) this.#byBlob.set(child, new Set([image]))
      else images.add(image)
    }
    return true
  }

  /**
   * The one that has been here the longest of those that nothing is begun of before somebody asks
   * for a blob.
   */
  oldestIdle(): ImagePrefetch | undefined {
    return [...this.#images.values()].find(image => !image.isStarted)
  }

  delete(image: ImagePrefetch): void {
    this.#images.delete(image.key)
    for (const { child } of image.blobs) {
      const images = this.#byBlob.get(child)
      images?.delete(image)
      if (images?.size === 0) this.#byBlob.delete(child)
    }
  }

  /** As they are now; undefined when there are none. */
  withBlob(repository: Repository, digest: Digest): readonly ImagePrefetch[] | undefined {
    const key = repositoryKey(repository)
    const images = [...(this.#byBlob.get(digest) ?? [])]
    const ofRepository = images.filter(image => repositoryKey(image.repository) === key)
    return ofRepository.length === 0 ? undefined : ofRepository
  }

  /**
   * An image that counts on this blob being fetched, in whatever repository: the bytes are the
   * same.
   */
  wanting(digest: Digest): ImagePrefetch | undefined {
    return [...(this.#byBlob.get(digest) ?? [])].find(image => image.isStarted)
  }

  /** Other children of the same index that were given to one of the same clients. */
  siblings({ index, repository, key, clients }: ImagePrefetch): readonly ImagePrefetch[] {
    if (index === undefined) return []
    return [...this.#images.values()].filter(
      other =>
        other.index === index &&
        other.key !== key &&
        repositoryKey(other.repository) === repositoryKey(repository) &&
        [...clients].some(client => other.clients.has(client)),
    )
  }

  /**
   * Those with something still to be begun: the ones that are pulled before those that may be, each
   * in the order of their coming.
   */
  inOrder(): readonly ImagePrefetch[] {
    const unfinished = [...this.#images.values()].filter(image => image.pending.length > 0)
    return [
      ...unfinished.filter(image => image.isPulled),
      ...unfinished.filter(image => !image.isPulled),
    ]
  }
}
