// A bound on the memory that requests take together, where a request must be held whole. Promised before it is taken.
import { RegistryError } from '../oci/errors.ts'
import { BUSY_RETRY_AFTER_SECONDS } from './limits.ts'

export interface MemoryBudget {
  /**
   * Promises `bytes` for as long as `work` runs. @throws RegistryError UNAVAILABLE when others have been promised too much, before
   * `work` is begun; what `work` throws
   */
  hold<T>(bytes: number, work: () => Promise<T>): Promise<T>
}

export function createMemoryBudget(maxBytes: number): MemoryBudget {
  let promisedBytes = 0
  return {
    async hold(bytes, work) {
      if (promisedBytes + bytes > maxBytes) throw exhausted()
      promisedBytes += bytes
      try {
        return await work()
      } finally {
        promisedBytes -= bytes
      }
    },
  }
}

function exhausted(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'too many large manifests at once; try again', {
    retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
  })
}
