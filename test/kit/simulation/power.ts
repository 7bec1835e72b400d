// What a power cut leaves of a simulated disk, by no more than the port of the store promises: what
// was stored or kept as `kept` is there; what was only cached may have vanished; what was removed
// may have come back; parts are cut back. Facts and rows are durable when they are answered.
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'
import type { ContentClass } from '../../../src/registry/ports/blob-store-content.ts'
import type { MemoryDisk } from '../memory/disk.ts'
import type { Random } from '../seeded.ts'

type Commits = { commit(contentClass: ContentClass): Promise<unknown> }

export class Power {
  readonly #disk: MemoryDisk
  readonly #syncs: boolean
  /** What the disk has for certain, whatever is in its place now. */
  #synced = new Map<Digest, Uint8Array>()
  readonly #vanished = new Set<Digest>()

  /** `syncs`: false for a disk that says that it has synced, and has not. */
  constructor(disk: MemoryDisk, { syncs = true } = {}) {
    this.#disk = disk
    this.#syncs = syncs
  }

  /** The store, watched for what it makes durable. */
  watch(store: BlobStore): BlobStore {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: readonly unknown[]) => {
          const answer: unknown = Reflect.apply(value, target, args)
          return STORES.has(String(name))
            ? this.#noting(String(name), args, answer as Promise<unknown>)
            : answer
        }
      },
    })
  }

  /** Has its file gone in a power cut, and not come again? */
  hasVanished(digest: Digest): boolean {
    return this.#vanished.has(digest) && !this.#disk.blobs.has(digest)
  }

  cut(random: Random): void {
    const { blobs, parts } = this.#disk
    for (const digest of [...blobs.keys()].filter(each => !this.#synced.has(each)))
      if (random.oneIn(2)) {
        blobs.delete(digest)
        this.#vanished.add(digest)
      }
    for (const [digest, bytes] of this.#synced)
      if (!blobs.has(digest) && random.oneIn(2)) blobs.set(digest, bytes)
    for (const part of parts.values())
      part.bytes = part.bytes.slice(0, random.below(part.bytes.length + 1))
    this.#synced = new Map(blobs)
  }

  async #noting(name: string, args: readonly unknown[], answer: Promise<unknown>) {
    const value = await answer
    if (name === 'put') this.#written(args[0] as Digest, args[2] as ContentClass)
    else if (name === 'keep') this.#written(args[0] as Digest, 'kept')
    else if (typeof value === 'object' && value !== null) return this.#growing(value as Commits)
    return value
  }

  /** A fill or an upload. */
  #growing(file: Commits): Commits {
    return new Proxy(file, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        if (name !== 'commit') return value.bind(target) as unknown
        return async (contentClass: ContentClass) => {
          const stored = (await target.commit(contentClass)) as { readonly digest: Digest }
          this.#written(stored.digest, contentClass)
          return stored
        }
      },
    })
  }

  #written(digest: Digest, contentClass: ContentClass): void {
    const bytes = this.#disk.blobs.get(digest)
    if (this.#syncs && contentClass === 'kept' && bytes !== undefined)
      this.#synced.set(digest, bytes)
  }
}

/** What writes whole content, or gives a file that will. */
const STORES = new Set(['put', 'keep', 'openFill', 'createUpload', 'openUpload'])
