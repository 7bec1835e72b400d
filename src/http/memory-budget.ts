// A bound on the memory that requests take together, where a request must be held whole. Promised before it is taken.
import { RegistryError } from '../oci/errors.ts'
import { type Count, createCount } from './count.ts'
import { BUSY_RETRY_AFTER_SECONDS } from './limits.ts'

export interface MemoryBudget {
  /**
   * Promises `bytes` for as long as `work` runs. @throws RegistryError UNAVAILABLE when others have been promised too much, before
   * `work` is begun; what `work` throws
   */
  hold<T>(bytes: number, work: () => Promise<T>): Promise<T>
}

/** `promised`: in bytes, by all threads. Default: by this one. */
export function createMemoryBudget(
  maxBytes: number,
  promised: Count = createCount(),
): MemoryBudget {
  return {
    async hold(bytes, work) {
      try {
        if (promised.add(bytes) > maxBytes) throw exhausted()
        return await work()
      } finally {
        promised.add(-bytes)
      }
    },
  }
}

function exhausted(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'too many large manifests at once; try again', {
    retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
  })
}
