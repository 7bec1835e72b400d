// A trace: who pulled what, when, and what of it they did not have. It does not depend on what an
// edge keeps, so every order is tried on the same one.
import type { Registry } from './registry.ts'

export interface Pull {
  readonly atMs: number
  readonly image: number
  /** By its tag, which this image then is the current one of; else by its digest. */
  readonly byTag: boolean
  /**
   * The image's blobs that the client comes for. Bases that it has it does not ask for; none means
   * that it has them all and only asks for the manifest, which is use as well.
   */
  readonly asked: readonly number[]
  readonly by: 'use' | 'scan' | 'ci' | 'release'
}

export interface Trace {
  readonly name: string
  readonly registry: Registry
  /** In the order of time. */
  readonly pulls: readonly Pull[]
  /** What comes before fills the cache and is not counted. */
  readonly countedFromMs: number
}

/**
 * The bytes of all images that blobs are asked of, by others than scanners: a cache of this size
 * never has to evict what the site uses.
 */
export function footprint({ registry, pulls }: Trace): number {
  const used = pulls.filter(({ asked, by }) => asked.length > 0 && by !== 'scan')
  const images = new Set(used.map(({ image }) => image))
  const blobs = new Set([...images].flatMap(image => registry.images[image]?.blobs ?? []))
  return bytesOf(registry, [...blobs])
}

export function bytesOf({ sizes }: Registry, blobs: readonly number[]): number {
  let bytes = 0
  for (const blob of blobs) bytes += sizes[blob] ?? 0
  return bytes
}
