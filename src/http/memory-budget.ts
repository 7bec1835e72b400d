// A bound on the memory that requests take together, where a request must be held whole, and on what of it one client may have. Promised
// before it is taken.
import { RegistryError } from '../oci/errors.ts'
import { type Count, createCount } from './count.ts'
import { BUSY_RETRY_AFTER_SECONDS } from './limits.ts'

export interface MemoryBudget {
  /**
   * Promises `bytes` to `client`, an address, for as long as `work` runs. @throws RegistryError UNAVAILABLE when it or all have been
   * promised too much, before `work` is begun; what `work` throws
   */
  hold<T>(client: string, bytes: number, work: () => Promise<T>): Promise<T>
}

export interface MemoryBudgetOptions {
  readonly maxBytes: number
  /** Of one client, in this thread. */
  readonly clientMaxBytes: number
  /** In bytes, by all threads. Default: by this one. */
  readonly promised?: Count | undefined
}

export function createMemoryBudget({
  maxBytes,
  clientMaxBytes,
  promised = createCount(),
}: MemoryBudgetOptions): MemoryBudget {
  const heldBy = new Map<string, number>()

  function count(client: string, bytes: number): number {
    const held = (heldBy.get(client) ?? 0) + bytes
    if (held === 0) heldBy.delete(client)
    else heldBy.set(client, held)
    return held
  }

  return {
    async hold(client, bytes, work) {
      try {
        const isTooMuch = count(client, bytes) > clientMaxBytes
        if (promised.add(bytes) > maxBytes || isTooMuch) throw exhausted()
        return await work()
      } finally {
        promised.add(-bytes)
        count(client, -bytes)
      }
    },
  }
}

function exhausted(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'too many large manifests at once; try again', {
    retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
  })
}
