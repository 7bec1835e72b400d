// A bound on the memory that bodies take together which must be held whole. It is counted as they
// come and not as they are announced, and where it is used up the largest that is still coming
// makes room: who is slow or many holds up nobody who brings little. What has come whole can wait
// long for an upstream or for its turn, and makes no room: so large bodies have only a share of the
// memory.
import { RegistryError } from '../../oci/errors.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { BUSY_RETRY_AFTER_SECONDS } from '../limits.ts'

export interface Held {
  /**
   * So much more of the body is in memory.
   * @throws RegistryError UNAVAILABLE when it makes room for others, now or before
   */
  add(bytes: number): void
  /** All of it is here: it makes no room any more. */
  whole(): void
}

export interface MemoryBudget {
  /**
   * Counts a body for as long as `work` runs. `giveUp` is called, once at most, when it makes room
   * for another.
   * @throws what `work` throws
   */
  hold<T>(giveUp: (error: RegistryError) => void, work: (held: Held) => Promise<T>): Promise<T>
}

interface Body {
  bytes: number
  isComing: boolean
  isGivenUp: boolean
  readonly giveUp: (error: RegistryError) => void
}

export interface MemoryBounds {
  /** Of all bodies together. */
  readonly maxBytes: number
  /** A body of more is large. */
  readonly smallBytes: number
  /** Of all large bodies together. At least one of the largest. */
  readonly largeMaxBytes: number
}

/**
 * Bodies of manifests that are in memory at once, in bytes: tens of thousands of ordinary ones, a
 * dozen of the largest. What is made of a body on its way takes some three times as much again.
 * Beyond: the largest that still comes is 503 with Retry-After.
 */
const MANIFEST_BODIES_MAX_BYTES = 64 * 1024 * 1024
/** An ordinary manifest is no larger, not one of 127 layers with annotations either. */
const MANIFEST_SMALL_BYTES = 64 * 1024
/**
 * The rest is left to small ones: large ones that wait for a silent upstream would otherwise keep
 * everybody from pushing.
 */
const MANIFEST_LARGE_SHARE = 0.75

/** Of each thread. One of the largest always fits. */
export function manifestBodiesBounds(threads: number): MemoryBounds {
  const leastBytes = MANIFEST_LIMIT_BYTES / MANIFEST_LARGE_SHARE
  const maxBytes = Math.max(leastBytes, MANIFEST_BODIES_MAX_BYTES / threads)
  const largeMaxBytes = maxBytes * MANIFEST_LARGE_SHARE
  return { maxBytes, smallBytes: MANIFEST_SMALL_BYTES, largeMaxBytes }
}

export function createMemoryBudget(bounds: MemoryBounds): MemoryBudget {
  const bodies = new Set<Body>()
  let heldBytes = 0
  let largeBytes = 0

  function resize(body: Body, bytes: number): void {
    const countedAsLarge = (size: number) => (size > bounds.smallBytes ? size : 0)
    heldBytes += bytes - body.bytes
    largeBytes += countedAsLarge(bytes) - countedAsLarge(body.bytes)
    body.bytes = bytes
  }

  function letGo(body: Body): void {
    resize(body, 0)
    bodies.delete(body)
  }

  function makeRoom(): void {
    while (heldBytes > bounds.maxBytes || largeBytes > bounds.largeMaxBytes) {
      const coming = [...bodies].filter(each => each.isComing)
      const largest = coming.reduce<Body | undefined>(larger, undefined)
      if (largest === undefined) return
      largest.isGivenUp = true
      letGo(largest)
      largest.giveUp(exhausted())
    }
  }

  return {
    async hold(giveUp, work) {
      const body: Body = { bytes: 0, isComing: true, isGivenUp: false, giveUp }
      bodies.add(body)
      try {
        return await work({
          add(bytes) {
            if (!body.isGivenUp) {
              resize(body, body.bytes + bytes)
              makeRoom()
            }
            if (body.isGivenUp) throw exhausted()
          },
          whole() {
            body.isComing = false
          },
        })
      } finally {
        letGo(body)
      }
    },
  }
}

function larger(one: Body | undefined, other: Body): Body {
  return one === undefined || other.bytes > one.bytes ? other : one
}

function exhausted(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'too many large manifests at once; try again', {
    retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
  })
}
